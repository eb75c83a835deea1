package archive

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway/oci/filelock"
)

// Writer writes an archive. What it has written so far is in FILE.part, and
// FILE appears when all is there (Commit). It is not safe for concurrent use.
type Writer struct {
	path  string
	file  *os.File // FILE.part, locked; nil once closed
	codec *codec
	plan  []ocispec.Descriptor
	place map[digest.Digest]int // in plan
	next  int                   // in plan: the first that is not in the file
	end   int64                 // of what is complete in the file
	buf   []byte
}

// Create begins to write an archive, or continues where an earlier Writer of
// the same file was cut off. The file's name says how it is compressed: .tar,
// .tar.gz or .tgz, .tar.zst or .tzst.
//
// The plan is the blobs that the archive will hold, manifests included, in their
// order and each once; put first what a reader of the stream wants first. The
// archive's bytes are a function of the plan, the index and the blobs alone,
// whether it was written in one run or in ten: of what an earlier run wrote, as
// much is kept as is complete, has the right digests and follows the plan; the
// rest is cut off.
//
// It is an error if another process is writing the same file. The caller ends
// with Commit, and in any case with Close.
func Create(ctx context.Context, path string, plan []ocispec.Descriptor) (*Writer, error) {
	w, err := create(ctx, path, plan)
	return w, fail("write", path, err)
}

func create(ctx context.Context, path string, plan []ocispec.Descriptor) (*Writer, error) {
	c, err := codecByName(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, codec: c, plan: plan, place: make(map[digest.Digest]int, len(plan)), buf: make([]byte, 256<<10)}
	for i, desc := range plan {
		if err := check(desc); err != nil {
			return nil, err
		}
		if _, twice := w.place[desc.Digest]; twice {
			return nil, fmt.Errorf("%s is planned twice", desc.Digest)
		}
		w.place[desc.Digest] = i
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it exists and is no file")
	}
	if w.file, err = openPart(path + ".part"); err != nil {
		return nil, err
	}
	if err := w.resume(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// openPart opens and locks a file.
func openPart(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return nil, err
		}
		ok, err := filelock.Try(file)
		if err == nil && !ok {
			err = errors.New("another process is writing it: wait for that one, or choose another name")
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		// Whoever had the lock may have renamed the file before giving it back:
		// what is locked now is then a finished archive.
		opened, err := file.Stat()
		if err == nil {
			var named os.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(opened, named) {
				return file, nil
			}
		}
		file.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// Has tells whether a blob is in the file, from this run or an earlier one.
func (w *Writer) Has(d digest.Digest) bool {
	i, planned := w.place[d]
	return planned && i < w.next
}

// Add writes the next blob of the plan. open is called only if the file does not
// have the blob yet; what it gives is checked against the descriptor's size and
// digest. After an error the file is as before, and Add may be tried again.
func (w *Writer) Add(ctx context.Context, desc ocispec.Descriptor, open func(context.Context) (io.ReadCloser, error)) error {
	return fail("write", w.path, w.add(ctx, desc, open))
}

func (w *Writer) add(ctx context.Context, desc ocispec.Descriptor, open func(context.Context) (io.ReadCloser, error)) error {
	i, planned := w.place[desc.Digest]
	switch {
	case w.file == nil:
		return os.ErrClosed
	case !planned || w.plan[i].Size != desc.Size:
		return fmt.Errorf("%s with %d bytes is not in the plan", desc.Digest, desc.Size)
	case i < w.next:
		return nil
	case i > w.next:
		return fmt.Errorf("the plan has %s before %s", w.plan[w.next].Digest, desc.Digest)
	}
	desc = w.plan[i] // whose media type says how it is written
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	defer rc.Close()
	if err := w.write(blobName(desc.Digest), desc.Size, isCompressed(desc.MediaType), newVerified(ctx, rc, desc)); err != nil {
		return fmt.Errorf("%s: %w", desc.Digest, err)
	}
	w.next++
	return nil
}

// isCompressed knows a compressed blob by its media type, as the image
// specification and Docker write it.
func isCompressed(mediaType string) bool {
	for _, suffix := range []string{"+gzip", "+zstd", ".gzip", ".zstd"} {
		if strings.HasSuffix(mediaType, suffix) {
			return true
		}
	}
	return false
}

// write writes an entry with all that data has, which must be size bytes.
func (w *Writer) write(name string, size int64, stored bool, data io.Reader) error {
	head, err := header(name, size)
	if err != nil {
		return err
	}
	return w.segment(stored, func(to io.Writer) error {
		if _, err := to.Write(head); err != nil {
			return err
		}
		// In pieces of one size, however the data arrives: a compressor's output
		// might depend on them.
		for n, end := 0, false; !end; {
			m, err := data.Read(w.buf[n:])
			n, end = n+m, err == io.EOF
			if err != nil && !end {
				return err
			}
			if n == len(w.buf) || end {
				if _, err := to.Write(w.buf[:n]); err != nil {
					return err
				}
				n = 0
			}
		}
		_, err := to.Write(make([]byte, padding(size)))
		return err
	})
}

// segment appends what fill writes to the file, whole or not at all.
func (w *Writer) segment(stored bool, fill func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, w.file.Truncate(w.end))
		}
	}()
	if _, err := w.file.Seek(w.end, io.SeekStart); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w.file, 256<<10)
	if w.codec == nil {
		err = fill(out)
	} else {
		var z io.WriteCloser
		if z, err = w.codec.compress(out, stored); err != nil {
			return err
		}
		err = fill(z)
		err = cmp.Or(err, z.Close()) // which an encoder needs in any case
	}
	if err = cmp.Or(err, out.Flush()); err != nil {
		return err
	}
	end, err := w.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if w.codec != nil {
		length := binary.LittleEndian.AppendUint64(nil, uint64(end-w.end))
		if _, err := w.file.WriteAt(length, w.end+int64(len(w.codec.magic))); err != nil {
			return err
		}
	}
	w.end = end
	return nil
}

// Commit finishes the archive, of which every planned blob has to be there, and
// gives it its name, in place of an older file of that name. The index goes in
// as it is, its manifests in their order; a manifest's tag is its annotation
// org.opencontainers.image.ref.name.
func (w *Writer) Commit(ctx context.Context, index ocispec.Index) error {
	return fail("write", w.path, w.commit(ctx, index))
}

func (w *Writer) commit(ctx context.Context, index ocispec.Index) (err error) {
	if w.file == nil {
		return os.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.next < len(w.plan) {
		return fmt.Errorf("%d of %d planned blobs are missing, the first is %s", len(w.plan)-w.next, len(w.plan), w.plan[w.next].Digest)
	}
	index.Versioned = specs.Versioned{SchemaVersion: 2}
	index.MediaType = ocispec.MediaTypeImageIndex
	if index.Manifests == nil {
		index.Manifests = []ocispec.Descriptor{}
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if len(raw) > maxIndexSize {
		return fmt.Errorf("%s would have %d bytes, more than the %d allowed", ocispec.ImageIndexFile, len(raw), maxIndexSize)
	}
	blobs := w.end
	if err := w.finish(raw); err != nil {
		w.end = blobs
		return errors.Join(err, w.file.Truncate(blobs))
	}
	return w.publish()
}

// finish writes what follows the blobs.
func (w *Writer) finish(index []byte) error {
	if err := w.writeBytes(ocispec.ImageIndexFile, index); err != nil {
		return err
	}
	return w.segment(false, func(to io.Writer) error {
		_, err := to.Write(make([]byte, 1024)) // the end of a tar
		return err
	})
}

// publish renames the file while it is locked. Windows renames closed files
// only, and if another process has opened it meanwhile, not at all.
func (w *Writer) publish() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	part := w.file.Name()
	if runtime.GOOS == "windows" {
		if err := w.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(part, w.path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // has no directories to sync
	}
	dir, err := os.Open(filepath.Dir(w.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return cmp.Or(dir.Sync(), w.Close())
}

// Close gives the file back. Unless Commit came first, FILE.part stays for the
// next run to continue.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return file.Close()
}
