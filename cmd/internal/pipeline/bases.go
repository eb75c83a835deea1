package pipeline

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"slipway/oci"

	"github.com/containerd/platforms"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"
)

// bases resolves each distinct base image once in a run, so that all images that
// share a base are built on the same one even if its tag moves meanwhile.
type bases struct {
	session *oci.Session
	flight  singleflight.Group
	known   sync.Map // "NAME PLATFORM" -> base
}

type base struct {
	digest digest.Digest
	config []byte
}

// ResolveImage implements dockerfile.ConfigResolver.
func (b *bases) ResolveImage(ctx context.Context, name string, platform ocispec.Platform) (digest.Digest, []byte, error) {
	key := name + " " + platforms.FormatAll(platform)
	if v, ok := b.known.Load(key); ok {
		return v.(base).digest, v.(base).config, nil
	}
	v, err, _ := b.flight.Do(key, func() (any, error) {
		d, config, err := b.session.ResolveImage(ctx, name, platform)
		if err != nil {
			return nil, err // not kept: a passing fault must not stay
		}
		b.known.Store(key, base{d, config})
		return base{d, config}, nil
	})
	if err != nil {
		return "", nil, err
	}
	return v.(base).digest, v.(base).config, nil
}

// layers are the diff ids of the layers of all bases that have been resolved.
func (b *bases) layers() (ids []digest.Digest) {
	b.known.Range(func(_, v any) bool {
		var image ocispec.Image
		if json.Unmarshal(v.(base).config, &image) == nil { // BuildKit has read it
			ids = append(ids, image.RootFS.DiffIDs...)
		}
		return true
	})
	slices.Sort(ids)
	return slices.Compact(ids)
}
