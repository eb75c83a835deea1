package stages

import (
	"context"

	"slipway/engine"
	"slipway/oci"

	"golang.org/x/sync/semaphore"
)

// Final brings an image to the repository that it is used from, and keeps it there
// under its key tag, too. If it is there, nobody looks whether it also is where it
// was built.
type Final struct {
	keyed
	source oci.Repository
	copies *semaphore.Weighted
}

// NewFinal makes the stage that copies the image of a key from source to target.
// copies bounds copies that run at once; nil is no bound.
func NewFinal(source, target oci.Repository, key engine.Key, copies *semaphore.Weighted) *Final {
	return &Final{keyed: keyed{Repo: target, Key: key}, source: source, copies: copies}
}

// Run copies the image by digest, and then gives it its key tag.
func (s *Final) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	image, err := only(needs)
	if err == nil {
		err = image.Confirm(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := copyImage(ctx, s.copies, s.source, s.Repo, image); err != nil {
		return nil, err
	}
	return s.claim(ctx, image.Desc)
}

// copyImage copies an image by digest and tells how far it got.
func copyImage(ctx context.Context, copies *semaphore.Weighted, source, target oci.Repository, image Image) error {
	if copies != nil {
		if err := copies.Acquire(ctx, 1); err != nil {
			return err
		}
		defer copies.Release(1)
	}
	return oci.Copy(ctx, source, target, image.Desc, func(done, total int64) {
		engine.Emit(ctx, engine.Event{Kind: engine.EventBytes, Step: "copying", Current: done, Total: total})
	})
}
