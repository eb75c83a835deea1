package bundles

import (
	"context"
	"errors"
	"fmt"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// toArchive writes the bundle, as it is, into a file.
func (t *transfer) toArchive(ctx context.Context) (*engine.Node, error) {
	stage := &stages.Archive{Path: t.to.archive}
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
		stage.Name(f.desc, tagOf(f))
		if err := stage.Add(ctx, f.ReadOnlyStorage, f.desc); err != nil {
			return nil, err
		}
	}
	stage.Without(have)
	return &engine.Node{ID: "write " + t.to.String(), Kind: "copy", Stage: stage}, nil
}

func (t *transfer) addChart(ctx context.Context, stage *stages.Archive) error {
	tag := t.tag
	if tag == "" {
		tag = "latest"
	}
	if !t.needsRewriting() {
		stage.Name(t.located.desc, tag)
		return stage.Add(ctx, t.located, t.located.desc)
	}
	manifest, blobs, err := t.chartBlobs()
	if err != nil {
		return err
	}
	stage.Name(manifest.Descriptor, tag)
	for _, blob := range append([]oci.Blob{manifest}, blobs...) {
		stage.AddBlob(blob)
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
		if err := oci.Walk(ctx, c, c.desc, seen, none); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	for _, f := range c.images {
		if err := oci.Walk(ctx, f, f.desc, seen, none); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	return seen, nil
}
