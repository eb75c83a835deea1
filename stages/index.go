package stages

import (
	"context"
	"encoding/json"

	"slipway/engine"
	"slipway/oci"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Index joins the images of several platforms under one key tag.
type Index struct {
	keyed
	platforms []ocispec.Platform
}

// NewIndex makes the stage that joins images; platforms are those of the node's
// needs, in their order.
func NewIndex(repo oci.Repository, key engine.Key, platforms []ocispec.Platform) *Index {
	return &Index{keyed: keyed{Repo: repo, Key: key}, platforms: platforms}
}

// Run writes the index (OCI image index, image-spec v1.1).
func (s *Index) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	images, err := all(needs)
	if err != nil {
		return nil, err
	}
	for i, image := range images {
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: image.Desc.MediaType, Digest: image.Desc.Digest, Size: image.Desc.Size, Platform: &s.platforms[i],
		})
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	desc, err := oci.Pack(ctx, s.Repo, index.MediaType, raw)
	if err != nil {
		return nil, err
	}
	return s.claim(ctx, desc)
}
