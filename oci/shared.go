package oci

import (
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// sharedTarget is the target of one copy of several that may go on at once: a
// blob that two images share is sent by one copy, and the others wait for it.
// Only blobs are shared like that. Whoever has taken one on sends it without
// waiting for anything else, so that no two copies can wait for each other.
type sharedTarget struct {
	*registryRepository

	mu    sync.Mutex
	taken map[digest.Digest]chan struct{}
}

// Exists takes a blob on if it is not there: Push or Mount has to follow.
func (t *sharedTarget) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if IsManifest(desc) {
		return t.registryRepository.Exists(ctx, desc)
	}
	flight := make(chan struct{})
	for {
		other, busy := t.flights.LoadOrStore(desc.Digest, flight)
		if !busy {
			break
		}
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			return false, t.fail("look up", "@"+desc.Digest.String(), ctx.Err())
		}
	}
	t.mu.Lock()
	if t.taken == nil {
		t.taken = map[digest.Digest]chan struct{}{}
	}
	t.taken[desc.Digest] = flight
	t.mu.Unlock()
	exists, err := t.registryRepository.Exists(ctx, desc)
	if exists || err != nil {
		t.land(desc.Digest)
	}
	return exists, err
}

func (t *sharedTarget) Push(ctx context.Context, desc ocispec.Descriptor, data io.Reader) error {
	defer t.land(desc.Digest)
	return t.registryRepository.Push(ctx, desc, data)
}

func (t *sharedTarget) Mount(ctx context.Context, desc ocispec.Descriptor, from string, open func() (io.ReadCloser, error)) error {
	defer t.land(desc.Digest)
	return t.registryRepository.Mount(ctx, desc, from, open)
}

// land lets those go on who wait for a blob, whether it arrived or not: they ask
// the registry.
func (t *sharedTarget) land(d digest.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if flight, ok := t.taken[d]; ok {
		delete(t.taken, d)
		t.flights.Delete(d)
		close(flight)
	}
}

// release lands what a copy that failed had taken on.
func (t *sharedTarget) release() {
	t.mu.Lock()
	var left []digest.Digest
	for d := range t.taken {
		left = append(left, d)
	}
	t.mu.Unlock()
	for _, d := range left {
		t.land(d)
	}
}
