package stages

import (
	"context"
	"fmt"

	"slipway/engine"
	"slipway/oci"

	digest "github.com/opencontainers/go-digest"
)

// Pinned is an image that has to be there, under its key tag, because something
// written says so. It is found, and never made.
type Pinned struct {
	keyed
	digest digest.Digest
	by     string
}

// NewPinned makes the stage. The image must have the digest, if one is given; by
// is the name of the file that says so.
func NewPinned(repo oci.Repository, key engine.Key, d digest.Digest, by string) *Pinned {
	return &Pinned{keyed: keyed{Repo: repo, Key: key}, digest: d, by: by}
}

// Find asks for the key tag, with one request.
func (s *Pinned) Find(ctx context.Context) (engine.Result, bool, error) {
	desc, found, err := oci.Lookup(ctx, s.Repo, s.Key.String())
	if err != nil || !found {
		return nil, false, err
	}
	image := s.image(desc)
	if s.digest != "" && desc.Digest != s.digest {
		return nil, false, fmt.Errorf("%s is %s, and %s says that it is %s", image.Ref(), desc.Digest, s.by, s.digest)
	}
	return image, true, nil
}

// Run says that the image is not there.
func (s *Pinned) Run(context.Context, []engine.Result) (engine.Result, error) {
	return nil, fmt.Errorf("%s does not exist, though it is in %s", s.Repo.Reference().WithTag(s.Key.String()), s.by)
}
