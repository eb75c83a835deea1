package oci

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// Walk calls visit for a manifest and everything below it, what is named first
// first, each digest once. Manifests are read; blobs are not.
func Walk(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor, seen map[digest.Digest]bool, visit func(ocispec.Descriptor) error) error {
	if seen[desc.Digest] {
		return nil
	}
	seen[desc.Digest] = true
	if err := visit(desc); err != nil {
		return err
	}
	if !IsManifest(desc) {
		return nil
	}
	successors, err := content.Successors(ctx, from, desc)
	if err != nil {
		return fmt.Errorf("reading the manifest %s: %w", desc.Digest, err)
	}
	for _, s := range successors {
		if strings.Contains(s.MediaType, ".nondistributable.") || strings.Contains(s.MediaType, ".foreign.") {
			continue // its vendor lets nobody else distribute it, and no copy has it
		}
		if err := Walk(ctx, from, s, seen, visit); err != nil {
			return err
		}
	}
	return nil
}
