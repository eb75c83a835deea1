package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"slipway/engine"
	"slipway/oci"
	"slipway/oci/archive"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// Archive writes manifests, with everything below them, into a file.
type Archive struct {
	Path string

	names []ocispec.Descriptor // for index.json
	named map[string]bool
	plan  []planned
	seen  map[digest.Digest]bool
}

// planned is an entry of the archive and where its content is.
type planned struct {
	desc ocispec.Descriptor
	from content.Fetcher
}

// Name puts a manifest into the index, as tools that read layouts find it.
func (s *Archive) Name(desc ocispec.Descriptor, tag string) {
	id := tag + "@" + desc.Digest.String()
	if s.named[id] {
		return
	}
	if s.named == nil {
		s.named = map[string]bool{}
	}
	s.named[id] = true
	s.names = append(s.names, ocispec.Descriptor{
		MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size,
		Annotations: map[string]string{ocispec.AnnotationRefName: tag},
	})
}

// Add plans a manifest with everything below it.
func (s *Archive) Add(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor) error {
	return oci.Walk(ctx, from, desc, s.known(), func(d ocispec.Descriptor) error {
		s.plan = append(s.plan, planned{d, from})
		return nil
	})
}

// AddBlob plans content that is at hand.
func (s *Archive) AddBlob(blob oci.Blob) {
	if !s.known()[blob.Descriptor.Digest] {
		s.known()[blob.Descriptor.Digest] = true
		s.plan = append(s.plan, planned{blob.Descriptor, memory(blob.Data)})
	}
}

// join adds what another has that this has not.
func (s *Archive) join(other *Archive) {
	for _, desc := range other.names {
		s.Name(desc, desc.Annotations[ocispec.AnnotationRefName])
	}
	for _, p := range other.plan {
		if !s.known()[p.desc.Digest] {
			s.known()[p.desc.Digest] = true
			s.plan = append(s.plan, p)
		}
	}
}

func (s *Archive) known() map[digest.Digest]bool {
	if s.seen == nil {
		s.seen = map[digest.Digest]bool{}
	}
	return s.seen
}

// Without leaves out blobs that the other side has, but no manifests.
func (s *Archive) Without(have map[digest.Digest]bool) {
	s.plan = slices.DeleteFunc(s.plan, func(p planned) bool { return !oci.IsManifest(p.desc) && have[p.desc.Digest] })
}

// Find has nothing to go by: an archive is written whenever it is asked for.
func (s *Archive) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// written tells whether the file is the one that would be written: its index is
// the same, and it holds what that names.
func (s *Archive) written(ctx context.Context) bool {
	r, err := archive.Open(ctx, s.Path)
	if err != nil {
		return false // there is none, or something else: Run will tell
	}
	defer r.Close()
	missing := func(p planned) bool { return !r.Has(p.desc.Digest) }
	return reflect.DeepEqual(r.Index(), s.index()) && !slices.ContainsFunc(s.plan, missing)
}

func (s *Archive) index() ocispec.Index {
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: s.names}
}

// Run writes the file, from where an earlier run was cut off: manifests first, so
// that who reads it from its beginning knows what follows.
func (s *Archive) Run(ctx context.Context, _ []engine.Result) (_ engine.Result, err error) {
	slices.SortStableFunc(s.plan, func(a, b planned) int { return rank(a.desc) - rank(b.desc) })
	var descs []ocispec.Descriptor
	var done, total int64
	for _, p := range s.plan {
		descs = append(descs, ocispec.Descriptor{MediaType: p.desc.MediaType, Digest: p.desc.Digest, Size: p.desc.Size})
		total += p.desc.Size
	}
	w, err := archive.Create(ctx, s.Path, descs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	report := func(n int) {
		done += int64(n)
		engine.Emit(ctx, engine.Event{Kind: engine.EventBytes, Step: "writing", Current: done, Total: total})
	}
	for i, p := range s.plan {
		if w.Has(p.desc.Digest) {
			report(int(p.desc.Size))
			continue
		}
		err := w.Add(ctx, descs[i], func(ctx context.Context) (io.ReadCloser, error) {
			rc, err := p.from.Fetch(ctx, p.desc)
			if err != nil {
				return nil, err
			}
			return &counted{rc, report}, nil
		})
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", s.Path, err)
		}
	}
	return nil, w.Commit(ctx, s.index())
}

func rank(desc ocispec.Descriptor) int {
	if oci.IsManifest(desc) {
		return 0
	}
	return 1
}

// counted tells of what is read.
type counted struct {
	io.ReadCloser
	report func(int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.report(n)
	return n, err
}

// memory is content that is at hand.
type memory []byte

// Fetch returns it, whatever the descriptor.
func (m memory) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m)), nil
}
