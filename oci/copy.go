package oci

import (
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
)

// Copy copies a manifest with everything it names, children of an index
// included, and tags nothing. src is a Repository or whatever else holds content.
// If dst has the manifest it stops after one HEAD.
// Blobs that dst has are skipped; within one registry they are mounted; the
// rest is streamed. A manifest goes after what it names.
//
// progress may be nil. It is called with bytes done and bytes known of so far,
// never concurrently; what is skipped or mounted counts as done.
func Copy(ctx context.Context, src content.ReadOnlyStorage, dst Repository, root ocispec.Descriptor, progress func(done, total int64)) error {
	meter := &meter{report: progress, known: map[digest.Digest]bool{}}
	meter.expect(root)
	options := oras.CopyGraphOptions{
		Concurrency:      pushLimit,
		MaxMetadataBytes: MaxManifestSize,
		FindSuccessors: func(ctx context.Context, fetcher content.Fetcher, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			successors, err := content.Successors(ctx, fetcher, desc)
			meter.expect(successors...)
			return successors, err
		},
		OnCopySkipped: meter.done,
		OnMounted:     meter.done,
	}
	var target oras.Target = dst
	if registry, ok := dst.(*registryRepository); ok {
		shared := &sharedTarget{registryRepository: registry}
		defer shared.release()
		target = shared
	}
	what := root.Digest.String()
	if repo, ok := src.(Repository); ok {
		from, to := repo.Reference(), dst.Reference()
		what = from.WithDigest(root.Digest).String()
		if !to.IsLayout() && from.Registry == to.Registry {
			options.MountFrom = func(context.Context, ocispec.Descriptor) ([]string, error) {
				return []string{from.Repository}, nil
			}
		}
	}
	if err := oras.CopyGraph(ctx, &meteredSource{src, meter}, target, root, options); err != nil {
		return &Error{Op: "copy", Ref: what + " to " + dst.Reference().Name(), Err: err}
	}
	return nil
}

// meter adds up the bytes of a copy.
type meter struct {
	mu          sync.Mutex
	report      func(done, total int64)
	known       map[digest.Digest]bool
	moved, size int64
}

func (m *meter) expect(descs ...ocispec.Descriptor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, desc := range descs {
		if !m.known[desc.Digest] {
			m.known[desc.Digest] = true
			m.size += desc.Size
		}
	}
}

func (m *meter) done(_ context.Context, desc ocispec.Descriptor) error {
	m.add(desc.Size)
	return nil
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved += n
	if m.report != nil {
		m.report(m.moved, m.size)
	}
}

// meteredSource counts what is read from a repository.
type meteredSource struct {
	content.ReadOnlyStorage
	meter *meter
}

func (s *meteredSource) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := s.ReadOnlyStorage.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	return &meteredReader{rc, s.meter}, nil
}

type meteredReader struct {
	io.ReadCloser
	meter *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.meter.add(int64(n))
	}
	return n, err
}
