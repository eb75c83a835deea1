package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// writeBytes writes an entry from memory.
func (w *Writer) writeBytes(name string, data []byte) error {
	return w.write(name, int64(len(data)), false, bytes.NewReader(data))
}

// opening are the entries that come before the blobs: a layout's marker, and the
// directories. Without those, tools of users without privileges cannot unpack the
// archive: skopeo gives directories that it makes by itself to root.
func (w *Writer) opening() []string {
	names := []string{ocispec.ImageLayoutFile, ocispec.ImageBlobsDir + "/"}
	for _, desc := range w.plan {
		if dir := path.Dir(blobName(desc.Digest)) + "/"; !slices.Contains(names, dir) {
			names = append(names, dir)
		}
	}
	return names
}

// openingData is the content of an entry of the opening.
func openingData(name string) []byte {
	if name == ocispec.ImageLayoutFile {
		return layoutFile
	}
	return nil
}

// resume keeps what the file has of the plan, cuts off the rest, and writes the
// opening if the file has not all of it. It reads all that it keeps: a machine that
// lost its power may have left lengths without content.
func (w *Writer) resume(ctx context.Context) error {
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	opening, begun := w.opening(), true
	for _, name := range opening {
		data := openingData(name)
		begun = begun && w.keep(ctx, info.Size(), name, ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))})
	}
	for begun && w.next < len(w.plan) && w.keep(ctx, info.Size(), blobName(w.plan[w.next].Digest), w.plan[w.next]) {
		w.next++
	}
	if err := ctx.Err(); err != nil {
		return err // and not what it made look damaged
	}
	if !begun {
		w.end = 0
	}
	if err := w.file.Truncate(w.end); err != nil || begun {
		return err
	}
	for _, name := range opening {
		if err := w.writeBytes(name, openingData(name)); err != nil {
			return err
		}
	}
	return nil
}

// keep moves the end of what is complete past the next entry, if that is the one
// described. Whatever is wrong with it, the answer is to write it again.
func (w *Writer) keep(ctx context.Context, size int64, name string, desc ocispec.Descriptor) bool {
	length, err := w.examine(ctx, size, name, desc)
	if err == nil {
		w.end += length
	}
	return err == nil
}

// examine returns the length of the entry at w.end in a file of size bytes, or
// an error if it is not byte for byte what write would write, as far as that
// shows without compressing it again.
func (w *Writer) examine(ctx context.Context, size int64, name string, desc ocispec.Descriptor) (int64, error) {
	want, err := header(name, desc.Size)
	if err != nil {
		return 0, err
	}
	length := int64(len(want)) + desc.Size + padding(desc.Size)
	var from io.Reader = io.NewSectionReader(w.file, w.end, min(length, size-w.end))
	if w.codec != nil {
		segment, err := w.codec.segment(w.file, w.end, size)
		if err != nil {
			return 0, err
		}
		z, err := w.codec.reader(segment, window)
		if err != nil {
			return 0, err
		}
		defer z.Close()
		length, from = segment.Size(), z
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, want) {
		return 0, errors.Join(err, fmt.Errorf("the header is not that of %s", name))
	}
	content := newVerified(ctx, io.LimitReader(from, desc.Size), desc)
	if _, err := io.CopyBuffer(io.Discard, content, w.buf); err != nil {
		return 0, err
	}
	rest, err := io.ReadAll(io.LimitReader(from, 512))
	if err == nil && (int64(len(rest)) != padding(desc.Size) || len(bytes.Trim(rest, "\x00")) > 0) {
		err = errors.New("the padding is damaged")
	}
	return length, err
}
