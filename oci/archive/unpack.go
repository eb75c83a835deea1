package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
)

// unpack reads a compressed archive that has no places to jump to.
func (r *Reader) unpack(ctx context.Context, c *codec) (err error) {
	if r.spool, err = newSpool(); err != nil {
		return err
	}
	compressed := &counter{Reader: r.file}
	z, err := c.reader(bufio.NewReader(compressed), maxForeignWindow)
	if err != nil {
		return err
	}
	defer z.Close()
	t := tar.NewReader(&bombGuard{from: z, compressed: compressed})
	if z, ok := z.(*gzip.Reader); ok && (z.Comment == legacyBundle || z.Comment == legacyStages) {
		r.legacy = z.Comment
		return r.convert(ctx, t)
	}
	found := files{}
	err = eachEntry(ctx, t, func(hdr *tar.Header, data io.Reader) error {
		return found.add(hdr, func() (blob, error) {
			s, err := r.spool.add(ctx, data)
			return s.blob, err
		})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return r.layout(found)
}

// spool is a temporary file of blobs, one after the other, each once. It stands
// in the directory for temporary files ($TMPDIR), and lasts as long as the
// Reader, at most as long as the process: systems that can let go of its name
// at once.
type spool struct {
	file  *os.File
	end   int64
	blobs map[digest.Digest]spooled
	buf   []byte
}

// spooled is a blob of a spool.
type spooled struct {
	blob
	digest digest.Digest // sha256
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "slipway-archive-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // Windows cannot yet: close does it there
	return &spool{file: file, blobs: map[digest.Digest]spooled{}, buf: make([]byte, 256<<10)}, nil
}

// add takes in all that data has.
func (s *spool) add(ctx context.Context, data io.Reader) (spooled, error) {
	if _, err := s.file.Seek(s.end, io.SeekStart); err != nil {
		return spooled{}, err
	}
	digester := digest.Canonical.Digester()
	to := io.MultiWriter(s.file, digester.Hash())
	size, err := io.CopyBuffer(to, contextReader{ctx, data}, s.buf)
	if err != nil {
		return spooled{}, err
	}
	d := digester.Digest()
	if known, ok := s.blobs[d]; ok {
		return known, nil // and what was written is written over
	}
	added := spooled{section(s.file, s.end, size), d}
	s.blobs[d] = added
	s.end += size
	return added, nil
}

func (s *spool) close() error {
	err := s.file.Close()
	if removed := os.Remove(s.file.Name()); removed != nil && !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// bombGuard stops what grows too much as it is unpacked. No descriptor bounds
// it: a layout's index may be the last entry. Layers that are compressed
// themselves do not grow, others by 10 times at most; gzip can reach 1000, zstd
// more.
type bombGuard struct {
	from       io.Reader
	compressed *counter
	n          int64
}

const (
	bombSize  = 1 << 30
	bombRatio = 200
)

func (g *bombGuard) Read(p []byte) (int, error) {
	n, err := g.from.Read(p)
	g.n += int64(n)
	if g.n > bombSize && g.n/bombRatio > g.compressed.n {
		return n, fmt.Errorf("it grows to more than %d times its size as it is unpacked: if that is right, unpack it and name the .tar instead", bombRatio)
	}
	return n, err
}
