package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// verified reads exactly what a descriptor describes. Content that is shorter,
// longer or other ends in an error instead of io.EOF, and the last bytes come
// together with the verdict.
type verified struct {
	ctx      context.Context
	from     io.Reader
	verifier digest.Verifier
	left     int64 // bytes to come
	end      error // what Read answers from now on
}

// newVerified needs a descriptor that check has passed.
func newVerified(ctx context.Context, from io.Reader, desc ocispec.Descriptor) *verified {
	return &verified{ctx: ctx, from: from, verifier: desc.Digest.Verifier(), left: desc.Size}
}

func (v *verified) Read(p []byte) (int, error) {
	if v.end != nil || len(p) == 0 {
		return 0, v.end
	}
	if v.end = v.ctx.Err(); v.end != nil {
		return 0, v.end
	}
	n, err := 0, error(nil)
	if v.left > 0 {
		n, err = v.from.Read(p[:min(int64(len(p)), v.left)])
		v.verifier.Write(p[:n]) // a hash does not fail
		v.left -= int64(n)
	}
	switch {
	case v.left == 0:
		v.end = v.verdict(err)
	case err == io.EOF:
		v.end = fmt.Errorf("%d bytes are missing: %w", v.left, io.ErrUnexpectedEOF)
	default:
		v.end = err
	}
	return n, v.end
}

// verdict, after the last byte, which came with err.
func (v *verified) verdict(err error) error {
	if err == nil {
		// What comes with the end of a file is seen here too: padding that is
		// cut off, a checksum that does not fit.
		var more [1]byte
		var n int
		for n == 0 && err == nil {
			n, err = v.from.Read(more[:])
		}
		if n > 0 {
			return errors.New("there is more of it than its descriptor says")
		}
	}
	if err != io.EOF {
		return err
	}
	if !v.verifier.Verified() {
		return errors.New("the content does not have its digest")
	}
	return io.EOF
}

// check refuses descriptors that describe nothing.
func check(desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", desc.Digest, err)
	}
	if desc.Size < 0 {
		return fmt.Errorf("%s: the size cannot be %d", desc.Digest, desc.Size)
	}
	return nil
}
