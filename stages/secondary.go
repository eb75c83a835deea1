package stages

import (
	"context"
	"fmt"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
)

// Secondary is a build whose image other repositories may have, too. One that is
// found there is copied, and neither it nor what it is made from is built. The
// others are only read.
type Secondary struct {
	*BuildStage
	Sources []oci.Repository    // asked in this order, after the build's own
	Copies  *semaphore.Weighted // bounds copies, not look-ups; nil is no bound
}

// Find asks for the key tag: with one request where it is in the build's own
// repository, one more for each of the others that has to be asked.
func (s *Secondary) Find(ctx context.Context) (engine.Result, bool, error) {
	result, found, err := s.BuildStage.Find(ctx)
	if found || err != nil {
		return result, found, err
	}
	for _, source := range s.Sources {
		desc, found, err := oci.Lookup(ctx, source, s.Key.String())
		if err != nil {
			return nil, false, fmt.Errorf("secondary repository: %w", err)
		}
		if found {
			return &foreign{to: s, from: source, desc: desc}, true, nil
		}
	}
	return nil, false, nil
}

// foreign is an image in another repository. It is an engine.Elsewhere.
type foreign struct {
	to   *Secondary
	from oci.Repository
	desc ocispec.Descriptor
}

// Fetch copies the image; the key tag comes last.
func (f *foreign) Fetch(ctx context.Context) (engine.Result, error) {
	note(ctx, "copying from %s", f.from.Reference().Name())
	if err := copyImage(ctx, f.to.Copies, f.from, f.to.Repo, Image{Desc: f.desc}); err != nil {
		return nil, err
	}
	image, err := f.to.claim(ctx, f.desc)
	image.copied = true
	return image, err
}
