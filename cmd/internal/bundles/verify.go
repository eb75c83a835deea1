package bundles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages/bundle"
	"slipway/stages/chart/render"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"
)

// Verified is what a verification found.
type Verified struct {
	Images, Blobs int   // checked
	Bytes         int64 // read
	Problems      []string
	// Notes are what could not be looked at.
	Notes []string
}

// Verify reads everything of a bundle: each reference in the chart must resolve,
// and each blob under it be there and have its digest. The problems are in the
// result; an error is a verification that could not be made.
func Verify(ctx context.Context, ref string, registry oci.Options, renderer render.Program, sinks []engine.Sink) (_ *Verified, err error) {
	at, from, err := openBundle(ctx, ref, registry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c, err := read(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", at, err)
	}
	v := &verification{Verified: &Verified{}, seen: map[digest.Digest]bool{}}
	if err := v.external(ctx, renderer, from, c); err != nil {
		return nil, err
	}
	stage := &engine.Node{ID: "verify " + at.String(), Kind: "verify", Stage: action(func(ctx context.Context) error { return v.run(ctx, c) })}
	_, err = engine.Run(ctx, []*engine.Node{stage}, engine.Options{Sinks: sinks})
	slices.Sort(v.Problems)
	return v.Verified, err
}

// action is a stage that only does something.
type action func(context.Context) error

func (action) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

func (a action) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	return nil, a(ctx)
}

type verification struct {
	*Verified
	mu    sync.Mutex
	seen  map[digest.Digest]bool
	total int64
}

// external looks at what the chart renders beside its own images: it has to
// resolve, where there is a registry to ask.
func (v *verification) external(ctx context.Context, renderer render.Program, from origin, c *contents) error {
	names, err := c.rendered(ctx, renderer)
	if errors.Is(err, render.ErrEndless) || errors.Is(err, render.ErrProcess) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		v.Notes = append(v.Notes, fmt.Sprintf("images that only templates name were not looked at: %v", err))
		return nil
	}
	if _, ok := from.(*registryOrigin); !ok {
		if len(names) > 0 {
			v.Notes = append(v.Notes, "not in here, as they are images of others: "+strings.Join(names, ", "))
		}
		return nil
	}
	others := make([]found, len(names))
	for i, name := range names {
		others[i].Image = bundle.Image{Kind: bundle.External, Name: name, Ref: bundle.ParseRef(name)}
	}
	if err := c.locate(ctx, from, others); err != nil {
		return err
	}
	for _, f := range others {
		if f.err != nil {
			v.problem("%s: %v", describe(f.Image), f.err)
		}
	}
	return nil
}

func (v *verification) problem(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// blob is content to be read, and who names it.
type blob struct {
	located
	of string
}

func (v *verification) run(ctx context.Context, c *contents) error {
	var blobs []blob
	add := func(image located, of string) {
		err := oci.Walk(ctx, image, image.desc, v.seen, func(d ocispec.Descriptor) error {
			v.total += d.Size
			blobs = append(blobs, blob{located{image.ReadOnlyStorage, d}, of})
			return ctx.Err()
		})
		if err != nil {
			v.problem("%s: %v", of, err)
		}
	}
	if c.ReadOnlyStorage != nil {
		add(c.located, "the chart")
	}
	for _, f := range c.images {
		if f.err != nil {
			v.problem("%s: %v", describe(f.Image), f.err)
			continue
		}
		v.Images++
		if f.Ref.Digest != "" && f.Ref.Digest != f.desc.Digest.String() {
			v.problem("%s: it is %s, the chart says %s", describe(f.Image), f.desc.Digest, f.Ref.Digest)
		}
		add(f.located, describe(f.Image))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copies)
	for _, b := range blobs {
		group.Go(func() error {
			if err := v.read(ctx, b); err != nil && ctx.Err() == nil {
				v.problem("%s: %s: %v", b.of, b.desc.Digest, err)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// read reads a blob to its end.
func (v *verification) read(ctx context.Context, b blob) error {
	rc, err := b.Fetch(ctx, b.desc)
	if err != nil {
		return err
	}
	defer rc.Close()
	r := content.NewVerifyReader(rc, b.desc)
	if _, err := io.Copy(progressWriter{ctx, v}, r); err != nil {
		return err
	}
	if err := r.Verify(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Blobs++
	return nil
}

type progressWriter struct {
	ctx context.Context
	*verification
}

func (w progressWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Bytes += int64(len(p))
	engine.Emit(w.ctx, engine.Event{Kind: engine.EventBytes, Step: "reading", Current: w.Bytes, Total: w.total})
	return len(p), w.ctx.Err()
}
