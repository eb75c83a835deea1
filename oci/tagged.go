package oci

import (
	"bytes"
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// ReadTag reads the manifest that a tag names with one GET, where looking the tag
// up first would be two requests. It is checked against its digest and bounded to
// MaxManifestSize. found is false, with no error, if there is no such tag.
func ReadTag(ctx context.Context, repo Repository, tag string) (desc ocispec.Descriptor, raw []byte, found bool, err error) {
	if r, ok := repo.(*registryRepository); ok {
		desc, raw, err = r.readTag(ctx, tag)
	} else if desc, err = repo.Resolve(ctx, tag); err == nil {
		raw, err = readAll(ctx, repo, desc)
	}
	if IsNotFound(err) {
		return desc, nil, false, nil
	}
	return desc, raw, err == nil, err
}

func (r *registryRepository) readTag(ctx context.Context, tag string) (ocispec.Descriptor, []byte, error) {
	desc, rc, err := r.remote(ctx).FetchReference(ctx, tag)
	if err != nil {
		return desc, nil, r.fail("read", ":"+tag, err)
	}
	defer rc.Close()
	if desc.Size > MaxManifestSize {
		return desc, nil, r.fail("read", ":"+tag, fmt.Errorf("the manifest has %d bytes, more than the %d allowed", desc.Size, MaxManifestSize))
	}
	raw, err := content.ReadAll(rc, desc)
	return desc, raw, r.fail("read", ":"+tag, err)
}

// WriteTag makes a tag name a manifest whose children are in the repository
// already, with one PUT, whatever it named before.
func WriteTag(ctx context.Context, repo Repository, mediaType string, raw []byte, tag string) error {
	if err := repo.Reference().WithTag(tag).validate(); err != nil {
		return err
	}
	desc := NewBlob(mediaType, raw).Descriptor
	if r, ok := repo.(*registryRepository); ok {
		return r.pushTag(ctx, desc, raw, tag)
	}
	if err := repo.Push(ctx, desc, bytes.NewReader(raw)); err != nil {
		return err
	}
	return repo.Tag(ctx, desc, tag)
}
