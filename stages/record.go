package stages

import (
	"context"
	"io"
	"sync"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Record is the plan record of a set of images in one repository: one manifest
// that says what each of their keys names, so that one request answers for all.
// Its node needs all images, in the order of the keys, and then whatever has to
// be done before it is written.
type Record struct {
	repo oci.Repository
	keys []engine.Key
	tag  string

	read    sync.Once
	held    map[engine.Key]ocispec.Descriptor // nil if there is nothing to trust
	ignored error                             // why a record that is there is not trusted
	err     error

	withdraw sync.Once
}

// NewRecord makes the stage that finds or writes the record of keys, which are
// sorted and each there once. What enters the record's tag is also copied to trace
// when that is not nil.
func NewRecord(repo oci.Repository, keys []engine.Key, trace io.Writer) *Record {
	return &Record{repo: repo, keys: keys, tag: recordTag(keys, trace)}
}

func (r *Record) String() string { return r.repo.Reference().WithTag(r.tag).String() }

// look reads the record, once in a run, with one request. A record is only ever a
// help: what is wrong with it itself is no error.
func (r *Record) look(ctx context.Context) error {
	r.read.Do(func() {
		_, raw, found, err := oci.ReadTag(ctx, r.repo, r.tag)
		if err != nil && (ctx.Err() != nil || oci.IsDenied(err) || oci.IsUnreachable(err)) {
			r.err = err // asking for each image would come to the same
			return
		}
		var descs []ocispec.Descriptor
		if err == nil && found {
			descs, err = readRecord(raw, r.keys)
		}
		if r.ignored = err; err != nil || !found {
			return
		}
		r.held = map[engine.Key]ocispec.Descriptor{}
		for i, key := range r.keys {
			r.held[key] = descs[i]
		}
	})
	return r.err
}

// Find reads the record, and tells whether it is trusted.
func (r *Record) Find(ctx context.Context) (engine.Result, bool, error) {
	if err := r.look(ctx); err != nil {
		return nil, false, err
	}
	switch {
	case r.held != nil:
		note(ctx, "trusting the plan record %s", r)
	case r.ignored != nil:
		note(ctx, "ignoring the plan record %s, and asking for each image: %v", r, r.ignored)
	}
	return Published{}, r.held != nil, nil
}

// Run writes the record, which fails nothing: all that it would say is there.
func (r *Record) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	images, err := all(needs[:min(len(needs), len(r.keys))])
	if err != nil {
		return nil, err
	}
	descs := make([]ocispec.Descriptor, len(images))
	for i, image := range images {
		descs[i] = image.Desc
	}
	raw, err := writeRecord(r.keys, descs)
	if err != nil {
		return nil, err
	}
	if len(raw) > oci.MaxManifestSize {
		note(ctx, "no plan record is written: that of %d images would have %d bytes, more than the %d that registries take", len(images), len(raw), oci.MaxManifestSize)
		return Published{}, nil
	}
	if err := oci.WriteTag(ctx, r.repo, ocispec.MediaTypeImageIndex, raw, r.tag); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		note(ctx, "no plan record is written: %v", err)
		return Published{}, nil
	}
	return Published{moved: true}, nil
}
