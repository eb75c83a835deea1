package bundles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"slipway/engine"
	"slipway/oci"
	"slipway/oci/archive"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// toArchive writes the bundle, as it is, into a file.
func (t *transfer) toArchive(ctx context.Context) (*engine.Node, error) {
	stage := &writeArchive{path: t.to.archive}
	have := map[digest.Digest]bool{}
	if t.options.Since != "" {
		var err error
		if have, err = t.since(ctx); err != nil {
			return nil, err
		}
	}
	if err := t.addChart(ctx, stage); err != nil {
		return nil, err
	}
	for _, f := range t.images {
		stage.name(f.desc, tagOf(f))
		if err := stage.add(ctx, f.ReadOnlyStorage, f.desc); err != nil {
			return nil, err
		}
	}
	stage.arrange(have)
	return &engine.Node{ID: "write " + t.to.String(), Kind: "copy", Stage: stage}, nil
}

func (t *transfer) addChart(ctx context.Context, stage *writeArchive) error {
	tag := t.tag
	if tag == "" {
		tag = "latest"
	}
	if !t.needsRewriting() {
		stage.name(t.located.desc, tag)
		return stage.add(ctx, t.located, t.located.desc)
	}
	manifest, blobs, err := t.chartBlobs()
	if err != nil {
		return err
	}
	stage.name(manifest.Descriptor, tag)
	for _, blob := range append([]oci.Blob{manifest}, blobs...) {
		stage.plan = append(stage.plan, planned{blob.Descriptor, memory(blob.Data)})
	}
	return nil
}

// since is everything of a bundle that the destination's side has.
func (t *transfer) since(ctx context.Context) (_ map[digest.Digest]bool, err error) {
	at, err := parseAddress("--since", t.options.Since)
	if err != nil {
		return nil, err
	}
	from, err := open(ctx, t.session, at)
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c, err := read(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("--since: reading the bundle %s: %w", at, err)
	}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("--since: the bundle %s is not complete: %w", at, err)
	}
	seen := map[digest.Digest]bool{}
	none := func(ocispec.Descriptor) error { return nil }
	if c.ReadOnlyStorage != nil {
		if err := walk(ctx, c, c.desc, seen, none); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	for _, f := range c.images {
		if err := walk(ctx, f, f.desc, seen, none); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	return seen, nil
}

// writeArchive is the stage that writes an archive.
type writeArchive struct {
	path  string
	index ocispec.Index
	plan  []planned
	seen  map[digest.Digest]bool
}

// planned is an entry of the archive and where its content is.
type planned struct {
	desc ocispec.Descriptor
	from content.Fetcher
}

// name puts a manifest into the index, as tools that read layouts find it.
func (s *writeArchive) name(desc ocispec.Descriptor, tag string) {
	entry := ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size, Annotations: map[string]string{ocispec.AnnotationRefName: tag}}
	same := func(d ocispec.Descriptor) bool {
		return d.Digest == entry.Digest && d.Annotations[ocispec.AnnotationRefName] == tag
	}
	if !slices.ContainsFunc(s.index.Manifests, same) {
		s.index.Manifests = append(s.index.Manifests, entry)
	}
}

// add plans a manifest with everything below it.
func (s *writeArchive) add(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor) error {
	if s.seen == nil {
		s.seen = map[digest.Digest]bool{}
	}
	return walk(ctx, from, desc, s.seen, func(d ocispec.Descriptor) error {
		s.plan = append(s.plan, planned{d, from})
		return nil
	})
}

// arrange puts manifests first, so that who reads the file from its beginning
// knows what follows, and leaves out blobs that the other side has.
func (s *writeArchive) arrange(have map[digest.Digest]bool) {
	s.plan = slices.DeleteFunc(s.plan, func(p planned) bool { return !oci.IsManifest(p.desc) && have[p.desc.Digest] })
	slices.SortStableFunc(s.plan, func(a, b planned) int { return rank(a.desc) - rank(b.desc) })
	s.index.Versioned = specs.Versioned{SchemaVersion: 2}
	s.index.MediaType = ocispec.MediaTypeImageIndex
}

func rank(desc ocispec.Descriptor) int {
	if oci.IsManifest(desc) {
		return 0
	}
	return 1
}

// Find has nothing to go by: an archive is written whenever it is asked for.
func (s *writeArchive) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run writes the file, from where an earlier run was cut off.
func (s *writeArchive) Run(ctx context.Context, _ []engine.Result) (_ engine.Result, err error) {
	var descs []ocispec.Descriptor
	var done, total int64
	for _, p := range s.plan {
		descs = append(descs, ocispec.Descriptor{MediaType: p.desc.MediaType, Digest: p.desc.Digest, Size: p.desc.Size})
		total += p.desc.Size
	}
	w, err := archive.Create(ctx, s.path, descs)
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
			return nil, fmt.Errorf("writing %s: %w", s.path, err)
		}
	}
	return nil, w.Commit(ctx, s.index)
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
