package oci

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ahead is a tag that is being looked up, or has been, before anybody asked.
type ahead struct {
	done chan struct{} // closed when the answer is known
	desc ocispec.Descriptor
	err  error
}

// LookAhead begins to look a tag up that somebody is going to ask for: the first
// Resolve of it takes the answer, and no more is requested than without. Answers
// are not kept beyond that. It does nothing for a layout, which is at hand.
func LookAhead(ctx context.Context, repo Repository, tag string) {
	r, ok := repo.(*registryRepository)
	if !ok {
		return
	}
	a := &ahead{done: make(chan struct{})}
	if _, twice := r.ahead.LoadOrStore(tag, a); twice {
		return
	}
	go func() {
		defer close(a.done)
		select {
		case r.aheadTurns <- struct{}{}:
			defer func() { <-r.aheadTurns }()
			a.desc, a.err = r.resolve(ctx, tag)
		case <-ctx.Done():
			a.err = ctx.Err()
		}
	}()
}

// Resolve finds what a tag or digest names.
func (r *registryRepository) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	if a, ok := r.ahead.LoadAndDelete(reference); ok {
		a := a.(*ahead)
		select {
		case <-a.done:
			return a.desc, a.err
		case <-ctx.Done():
			return ocispec.Descriptor{}, ctx.Err()
		}
	}
	return r.resolve(ctx, reference)
}
