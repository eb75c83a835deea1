package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"slipway/oci"
)

// Reader reads an archive from anywhere in it. It is safe for concurrent use.
type Reader struct {
	path  string
	file  *os.File
	spool *spool // of archives that have to be unpacked; else nil
	blobs map[digest.Digest]blob
	index ocispec.Index

	legacy string
	chart  []byte
}

var _ oras.ReadOnlyTarget = (*Reader)(nil)

// blob is content somewhere in a file.
type blob struct {
	size int64
	open func() (io.ReadCloser, error)
}

func section(file io.ReaderAt, offset, size int64) blob {
	return blob{size, func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(file, offset, size)), nil
	}}
}

func inMemory(data []byte) blob {
	return blob{int64(len(data)), func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// Open reads where an archive has what; the blobs stay where they are. What kind
// of archive it is shows in its content, not in its name:
//
//   - an OCI image layout in a tar, or in a tar that a Writer compressed, is read
//     in place;
//   - one that another program compressed with gzip or zstd has no places to jump
//     to and is unpacked, once, into a temporary file;
//   - so is what werf writes (Legacy).
//
// The caller ends with Close.
func Open(ctx context.Context, path string) (*Reader, error) {
	r := &Reader{path: path, blobs: map[digest.Digest]blob{}}
	if err := r.load(ctx); err != nil {
		r.Close()
		return nil, fail("read archive", path, err)
	}
	return r, nil
}

func (r *Reader) load(ctx context.Context) error {
	// Looked at before it is opened: opening a pipe waits for a writer.
	info, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	if r.file, err = os.Open(r.path); err != nil {
		return err
	}
	head := make([]byte, headSize)
	n, err := r.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	switch c, segments := codecByContent(head[:n]); {
	case segments:
		return r.scanSegments(ctx, c, info.Size())
	case c != nil:
		return r.unpack(ctx, c)
	}
	return r.scanTar(ctx, info.Size())
}

// Index is the archive's index.json.
func (r *Reader) Index() ocispec.Index { return r.index }

// Legacy is empty for an OCI image layout. For an archive of werf it is how that
// calls it: "bundle-archive" for a bundle, which has a Chart too, or
// "stage-archive" for stages. Images has an image per tag, with a manifest
// made here.
func (r *Reader) Legacy() string { return r.legacy }

// Chart is the chart of a bundle-archive, a gzipped tar; else nil. In an OCI
// image layout a chart is a manifest like any other.
func (r *Reader) Chart() []byte { return r.chart }

// Images is what each tag stands for, by the annotations
// org.opencontainers.image.ref.name of the index. Where several manifests have
// one tag, as those of several platforms may, the first counts.
func (r *Reader) Images() map[string]ocispec.Descriptor {
	images := map[string]ocispec.Descriptor{}
	for _, desc := range r.index.Manifests {
		if tag := desc.Annotations[ocispec.AnnotationRefName]; tag != "" {
			if _, taken := images[tag]; !taken {
				images[tag] = plain(desc)
			}
		}
	}
	return images
}

// plain is a descriptor as a registry would resolve it.
func plain(desc ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
}

// Resolve finds what a tag, or the digest of a manifest of the index, stands for.
func (r *Reader) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	if err := ctx.Err(); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, desc := range r.index.Manifests {
		if desc.Annotations[ocispec.AnnotationRefName] == reference || desc.Digest.String() == reference {
			return plain(desc), nil
		}
	}
	return ocispec.Descriptor{}, r.fail("look up in archive", reference, errdef.ErrNotFound)
}

// Has tells whether the archive holds a blob.
func (r *Reader) Has(d digest.Digest) bool {
	_, ok := r.blobs[d]
	return ok
}

// Exists is Has, as content.ReadOnlyStorage wants it.
func (r *Reader) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return r.Has(desc.Digest), ctx.Err()
}

// Fetch reads a blob. What is read is checked against the descriptor: the last
// Read gives an error instead of io.EOF if it is other content.
func (r *Reader) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := r.fetch(ctx, desc)
	if err != nil {
		return nil, r.fail("read from archive", desc.Digest.String(), err)
	}
	return rc, nil
}

func (r *Reader) fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := check(desc); err != nil {
		return nil, err
	}
	b, ok := r.blobs[desc.Digest]
	if !ok {
		return nil, errdef.ErrNotFound
	}
	if b.size != desc.Size {
		return nil, fmt.Errorf("it has %d bytes there, its descriptor says %d", b.size, desc.Size)
	}
	rc, err := b.open()
	if err != nil {
		return nil, err
	}
	return &fetched{newVerified(ctx, rc, desc), rc, r, desc}, nil
}

// fetched says what was being read when reading failed.
type fetched struct {
	*verified
	io.Closer
	reader *Reader
	desc   ocispec.Descriptor
}

func (f *fetched) Read(p []byte) (int, error) {
	n, err := f.verified.Read(p)
	if err != nil && err != io.EOF {
		err = f.reader.fail("read from archive", f.desc.Digest.String(), err)
	}
	return n, err
}

// Missing finds what manifests of the archive name and the archive does not
// hold, in the order in which it is named. An archive that only holds what its
// destination lacks misses things by design.
func (r *Reader) Missing(ctx context.Context) ([]ocispec.Descriptor, error) {
	var missing []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	for queue := r.index.Manifests; len(queue) > 0; queue = queue[1:] {
		desc := queue[0]
		if seen[desc.Digest] {
			continue
		}
		seen[desc.Digest] = true
		if !r.Has(desc.Digest) {
			missing = append(missing, plain(desc))
			continue
		}
		successors, err := r.successors(ctx, desc)
		if err != nil {
			return nil, r.fail("read from archive", desc.Digest.String(), err)
		}
		queue = append(queue, successors...)
	}
	return missing, nil
}

// successors is what a manifest names; blobs name nothing.
func (r *Reader) successors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return content.Successors(ctx, boundedFetcher{r}, desc)
}

// boundedFetcher refuses manifests that are too large to be held in memory.
type boundedFetcher struct{ r *Reader }

func (f boundedFetcher) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if desc.Size > maxManifestSize {
		return nil, fmt.Errorf("a manifest of %d bytes is more than the %d allowed", desc.Size, maxManifestSize)
	}
	return f.r.fetch(ctx, desc)
}

// Close gives the file back, and removes the temporary one. What is being
// fetched fails.
func (r *Reader) Close() error {
	var errs []error
	if r.file != nil {
		errs = append(errs, r.file.Close())
	}
	if r.spool != nil {
		errs = append(errs, r.spool.close())
	}
	return r.fail("close archive", "", errors.Join(errs...))
}

func (r *Reader) fail(op, what string, err error) error {
	ref := r.path
	if what != "" {
		ref += " " + what
	}
	if inner := (*oci.Error)(nil); errors.As(err, &inner) {
		return err
	}
	return fail(op, ref, err)
}

// readSmall reads a file of the archive whole.
func readSmall(b blob, limit int64) ([]byte, error) {
	if b.size > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d allowed", b.size, limit)
	}
	rc, err := b.open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data := make([]byte, b.size)
	_, err = io.ReadFull(rc, data)
	return data, err
}
