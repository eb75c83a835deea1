package stages

import (
	"context"
	"errors"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
	"oras.land/oras-go/v2/content"
)

// Transfer brings an image that is somewhere to a repository, under a tag that
// does not move.
type Transfer struct {
	Source content.ReadOnlyStorage
	Image  ocispec.Descriptor
	Target oci.Repository
	// Tag is the image's, if it is free: if it names another image there, the
	// digest becomes the tag.
	Tag    string
	Copies *semaphore.Weighted // bounds copies, not look-ups; nil is no bound
}

// Find asks for the tag, with one request: it was written after all of the image.
func (s *Transfer) Find(ctx context.Context) (engine.Result, bool, error) {
	desc, found, err := oci.Lookup(ctx, s.Target, s.Tag)
	if err != nil || !found || desc.Digest != s.Image.Digest {
		return nil, false, err
	}
	return s.image(s.Tag), true, nil
}

// Run copies what the target lacks.
func (s *Transfer) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	if s.Copies != nil {
		if err := s.Copies.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer s.Copies.Release(1)
	}
	err := oci.Copy(ctx, s.Source, s.Target, s.Image, func(done, total int64) {
		engine.Emit(ctx, engine.Event{Kind: engine.EventBytes, Step: "copying", Current: done, Total: total})
	})
	if err != nil {
		return nil, err
	}
	for _, tag := range []string{s.Tag, s.Image.Digest.Encoded()} {
		winner, err := oci.Claim(ctx, s.Target, s.Image, tag)
		if err != nil {
			return nil, err
		}
		if winner.Digest == s.Image.Digest {
			return s.image(tag), nil
		}
	}
	return nil, &oci.Error{Op: "tag", Ref: s.Target.Reference().WithTag(s.Image.Digest.Encoded()).String(), Err: errTaken}
}

func (s *Transfer) image(tag string) Image {
	return Image{Repo: s.Target.Reference(), Tag: tag, Desc: ocispec.Descriptor{MediaType: s.Image.MediaType, Digest: s.Image.Digest, Size: s.Image.Size}}
}

var errTaken = errors.New("the tag that spells the image's digest names another one")
