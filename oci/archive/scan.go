package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// files are the files of a layout, by their names.
type files map[string]blob

// scanTar finds the files of an uncompressed tar.
func (r *Reader) scanTar(ctx context.Context, size int64) error {
	found := files{}
	at := io.NewSectionReader(r.file, 0, size)
	err := eachEntry(ctx, tar.NewReader(at), func(hdr *tar.Header, _ io.Reader) error {
		offset, err := at.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if hdr.Size > size-offset {
			return fmt.Errorf("%s is cut off: %w", hdr.Name, io.ErrUnexpectedEOF)
		}
		return found.add(hdr, func() (blob, error) { return section(r.file, offset, hdr.Size), nil })
	})
	if errors.Is(err, tar.ErrHeader) && len(found) == 0 {
		return errors.New("it is neither a tar nor compressed with gzip or zstd")
	}
	if err != nil {
		return err
	}
	return r.layout(found)
}

// scanSegments finds the files of a tar made of segments: it reads the header
// of each, and jumps over the rest.
func (r *Reader) scanSegments(ctx context.Context, c *codec, size int64) error {
	found := files{}
	var z decompressor
	for offset, ended := int64(0), false; offset < size || !ended; {
		part, err := c.segment(r.file, offset, size)
		if err != nil {
			return err
		}
		if ended {
			return fmt.Errorf("there is more after the end, at byte %d", offset)
		}
		if z == nil {
			if z, err = c.reader(part, window); err == nil {
				defer z.Close()
			}
		} else {
			err = z.Reset(part)
		}
		if err != nil {
			return fmt.Errorf("at byte %d: %w", offset, err)
		}
		hdr, err := tar.NewReader(z).Next()
		switch ended = err == io.EOF; {
		case ended:
		case err != nil:
			return fmt.Errorf("at byte %d: %w", offset, err)
		default:
			if err := found.add(hdr, func() (blob, error) { return c.entry(part, hdr.Size), nil }); err != nil {
				return err
			}
		}
		offset += part.Size()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return r.layout(found)
}

// entry is the content of the entry of a segment.
func (c *codec) entry(segment *io.SectionReader, size int64) blob {
	return blob{size, func() (io.ReadCloser, error) {
		z, err := c.reader(bufio.NewReaderSize(io.NewSectionReader(segment, 0, segment.Size()), 64<<10), window)
		if err != nil {
			return nil, err
		}
		t := tar.NewReader(z)
		if _, err := t.Next(); err != nil {
			z.Close()
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{t, z}, nil
	}}
}

// eachEntry visits the regular files of a tar. Directories are nothing to an
// archive of blobs; links and devices have no business in one.
func eachEntry(ctx context.Context, t *tar.Reader, visit func(hdr *tar.Header, data io.Reader) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := checkHeader(hdr); err != nil {
			return err
		}
		if hdr.Typeflag == tar.TypeReg {
			if err := visit(hdr, t); err != nil {
				return err
			}
		}
	}
}

func checkHeader(hdr *tar.Header) error {
	switch hdr.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink, tar.TypeLink:
		return fmt.Errorf("entry %q is a link, which an archive of blobs cannot have", hdr.Name)
	default:
		return fmt.Errorf("entry %q is neither a file nor a directory", hdr.Name)
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("entry %q is a sparse file, which an archive of blobs cannot have", hdr.Name)
		}
	}
	name := strings.TrimSuffix(strings.TrimPrefix(hdr.Name, "./"), "/")
	if name != "" && !fs.ValidPath(name) {
		return fmt.Errorf("entry %q leads out of the archive, or in a roundabout way", hdr.Name)
	}
	return nil
}

// add takes an entry if it is a file of a layout. Others, such as those that
// docker save adds, are passed over.
func (f files) add(hdr *tar.Header, locate func() (blob, error)) error {
	if err := checkHeader(hdr); err != nil {
		return err
	}
	name := path.Clean(hdr.Name)
	if hdr.Typeflag != tar.TypeReg || !isLayoutFile(name) {
		return nil
	}
	if _, twice := f[name]; twice {
		return fmt.Errorf("entry %q is there twice", hdr.Name)
	}
	b, err := locate()
	f[name] = b
	return err
}

func isLayoutFile(name string) bool {
	return name == ocispec.ImageLayoutFile || name == ocispec.ImageIndexFile || blobDigest(name) != "" ||
		name == dockerManifest // only to say what it is
}

// blobDigest is the digest of the blob that a file of a layout is; empty for
// other files.
func blobDigest(name string) digest.Digest {
	algorithm, encoded, ok := strings.Cut(strings.TrimPrefix(name, ocispec.ImageBlobsDir+"/"), "/")
	d := digest.Digest(algorithm + ":" + encoded)
	if !ok || d.Validate() != nil || blobName(d) != name {
		return ""
	}
	return d
}

// layout takes over the files of a layout.
func (r *Reader) layout(found files) error {
	marker, ok := found[ocispec.ImageLayoutFile]
	if _, docker := found[dockerManifest]; docker && !ok {
		return errors.New("it is an archive of docker save, not an OCI image layout: convert it with skopeo copy docker-archive:FILE oci-archive:FILE")
	}
	if !ok {
		return fmt.Errorf("it is no OCI image layout: it has no %s", ocispec.ImageLayoutFile)
	}
	var version ocispec.ImageLayout
	if err := readJSON(marker, maxManifestSize, &version); err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageLayoutFile, err)
	}
	if version.Version != ocispec.ImageLayoutVersion {
		return fmt.Errorf("%s has version %q, only %s is known", ocispec.ImageLayoutFile, version.Version, ocispec.ImageLayoutVersion)
	}
	index, ok := found[ocispec.ImageIndexFile]
	if !ok {
		return fmt.Errorf("it has no %s", ocispec.ImageIndexFile)
	}
	if err := readJSON(index, maxIndexSize, &r.index); err != nil {
		return fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
	}
	for _, desc := range r.index.Manifests {
		if err := check(desc); err != nil {
			return fmt.Errorf("%s: %w", ocispec.ImageIndexFile, err)
		}
	}
	for name, b := range found {
		if d := blobDigest(name); d != "" {
			r.blobs[d] = b
		}
	}
	return nil
}

func readJSON(b blob, limit int64, v any) error {
	data, err := readSmall(b, limit)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
