package archive

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A segment is one entry of the tar, with its header and padding, compressed on
// its own: as a gzip member (RFC 1952, 2.2) or a zstd frame (RFC 8878, 3.1.1).
// Both formats let such pieces follow each other, and to every other tool they
// are one stream. Each begins with a head of 24 bytes that those tools pass
// over, an extra field of the gzip header (2.3.1.1) or a skippable frame
// (3.1.2). Its last 8 bytes are the length of the segment, head included,
// little-endian; they are zero until the segment is complete. So a reader jumps
// from entry to entry as it would in a plain tar, and a writer that continues
// sees where the one before it was cut off.
type codec struct {
	name     string
	magic    string // the first 16 bytes of the head
	begins   []byte // what any file of the format begins with
	compress func(w io.Writer, stored bool) (io.WriteCloser, error)
	reader   func(r io.Reader, maxWindow uint64) (decompressor, error)
}

const headSize = 24

type decompressor interface {
	io.ReadCloser
	Reset(io.Reader) error
}

// Windows of zstd, which are what it needs memory for. Larger ones than the
// second are not read: zstd itself asks before it does.
const (
	window           = 1 << 20
	maxForeignWindow = 128 << 20
)

var gzipCodec = &codec{
	name:   "gzip",
	magic:  "\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x0c\x00SW\x08\x00",
	begins: []byte{0x1f, 0x8b},
	// The standard library's output depends on Go's version, but not on the
	// machine, nor on how the data arrives. What is compressed already is
	// stored: trying again takes 20 times as long and gains nothing.
	compress: func(w io.Writer, stored bool) (io.WriteCloser, error) {
		level := gzip.DefaultCompression
		if stored {
			level = gzip.NoCompression
		}
		z, err := gzip.NewWriterLevel(w, level)
		if err != nil {
			return nil, err
		}
		z.Extra = append([]byte("SW\x08\x00"), make([]byte, 8)...)
		return z, nil
	},
	reader: func(r io.Reader, _ uint64) (decompressor, error) { return gzip.NewReader(r) },
}

const zstdMagic = "\x5d\x2a\x4d\x18\x10\x00\x00\x00slipway\x01"

var zstdCodec = &codec{
	name:   "zstd",
	magic:  zstdMagic,
	begins: []byte{0x28, 0xb5, 0x2f, 0xfd},
	compress: func(w io.Writer, _ bool) (io.WriteCloser, error) {
		if _, err := io.WriteString(w, zstdMagic+strings.Repeat("\x00", 8)); err != nil {
			return nil, err
		}
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window),
			zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithLowerEncoderMem(true))
	},
	reader: func(r io.Reader, maxWindow uint64) (decompressor, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return zstdReader{z}, nil
	},
}

type zstdReader struct{ *zstd.Decoder }

func (z zstdReader) Close() error {
	z.Decoder.Close()
	return nil
}

// codecByName is how a file of that name is written; nil is a plain tar.
func codecByName(path string) (*codec, error) {
	for suffix, c := range map[string]*codec{
		".tar": nil, ".tar.gz": gzipCodec, ".tgz": gzipCodec, ".tar.zst": zstdCodec, ".tzst": zstdCodec,
	} {
		if strings.HasSuffix(path, suffix) {
			return c, nil
		}
	}
	return nil, errors.New("the name says no format: let it end in .tar, .tar.gz, .tgz, .tar.zst or .tzst")
}

// codecByContent is how a file that begins with these bytes is compressed, and
// whether it is made of segments; nil is not compressed.
func codecByContent(head []byte) (c *codec, segments bool) {
	for _, c := range []*codec{gzipCodec, zstdCodec} {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			return c, true
		}
		if bytes.HasPrefix(head, c.begins) {
			return c, false
		}
	}
	if len(head) >= 4 && binary.LittleEndian.Uint32(head)&^0xf == 0x184d2a50 { // any skippable frame
		return zstdCodec, false
	}
	return nil, false
}

// segment returns the segment that begins at the offset of a file of size bytes.
func (c *codec) segment(file io.ReaderAt, offset, size int64) (*io.SectionReader, error) {
	head := make([]byte, headSize)
	if _, err := file.ReadAt(head, offset); err != nil {
		return nil, fmt.Errorf("cut off at byte %d", offset)
	}
	if string(head[:len(c.magic)]) != c.magic {
		return nil, fmt.Errorf("damaged at byte %d", offset)
	}
	length := binary.LittleEndian.Uint64(head[len(c.magic):])
	if length == 0 || length > uint64(size-offset) {
		return nil, fmt.Errorf("cut off after byte %d", offset)
	}
	if length <= headSize {
		return nil, fmt.Errorf("damaged at byte %d", offset)
	}
	return io.NewSectionReader(file, offset, int64(length)), nil
}
