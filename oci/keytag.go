package oci

import (
	"context"
	"errors"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// claimer is a repository with a better way to claim than the common protocol.
type claimer interface {
	claim(ctx context.Context, desc ocispec.Descriptor, tag string) (ocispec.Descriptor, error)
}

// Claim writes the immutable tag of a manifest whose content is in the
// repository already, and returns what the tag names in the end: desc, or what
// another writer claimed it for. A tag that exists is never moved.
//
// No registry offers compare-and-swap on tags (If-Match and If-None-Match are
// ignored), so writers follow HEAD, PUT, HEAD and adopt the winner. A writer
// whose HEAD found nothing may still PUT after another's last HEAD; between its
// own PUT and HEAD each therefore waits for twice as long as its HEAD and PUT
// took, by which time all who saw no tag have written theirs (Fischer's
// algorithm). If somebody is slower still, both manifests stay fetchable by
// digest and the next run sees one of them.
func Claim(ctx context.Context, repo Repository, desc ocispec.Descriptor, tag string) (ocispec.Descriptor, error) {
	if err := repo.Reference().WithTag(tag).validate(); err != nil {
		return ocispec.Descriptor{}, err
	}
	if c, ok := repo.(claimer); ok {
		return c.claim(ctx, desc, tag)
	}
	put := func() error { return repo.Tag(ctx, desc, tag) }
	return raceForTag(ctx, repo, tag, put, sleep)
}

// claim holds other claims of the same tag in this process back, and reads the
// manifest before the race so that nothing stands between HEAD and PUT.
func (r *registryRepository) claim(ctx context.Context, desc ocispec.Descriptor, tag string) (ocispec.Descriptor, error) {
	turn, _ := r.claims.LoadOrStore(tag, make(chan struct{}, 1))
	select {
	case turn.(chan struct{}) <- struct{}{}:
		defer func() { <-turn.(chan struct{}) }()
	case <-ctx.Done():
		return ocispec.Descriptor{}, r.fail("claim", ":"+tag, ctx.Err())
	}
	manifest, err := content.FetchAll(ctx, r, desc)
	if err != nil {
		return ocispec.Descriptor{}, r.fail("claim", ":"+tag, err)
	}
	put := func() error { return r.pushTag(ctx, desc, manifest, tag) }
	return raceForTag(ctx, r, tag, put, r.session.settle)
}

func raceForTag(ctx context.Context, repo Repository, tag string, put func() error, settle func(context.Context, time.Duration) error) (ocispec.Descriptor, error) {
	start := time.Now()
	if desc, found, err := Lookup(ctx, repo, tag); found || err != nil {
		return desc, err
	}
	if err := put(); err != nil {
		// Registries with immutable tags refuse the second writer; that is a
		// lost race and no failure.
		if desc, found, lookupErr := Lookup(ctx, repo, tag); found && lookupErr == nil {
			return desc, nil
		}
		return ocispec.Descriptor{}, err
	}
	if err := settle(ctx, 2*time.Since(start)); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, found, err := Lookup(ctx, repo, tag)
	if err == nil && !found {
		err = &Error{Op: "claim", Ref: repo.Reference().WithTag(tag).String(), Err: errors.New("the tag was written, but the registry does not show it")}
	}
	return desc, err
}

// Move makes an alias name a manifest whose content is in the repository
// already. If it does so anyway nothing is written, and changed is false: a
// no-op costs one HEAD.
func Move(ctx context.Context, repo Repository, desc ocispec.Descriptor, alias string) (changed bool, err error) {
	if err := repo.Reference().WithTag(alias).validate(); err != nil {
		return false, err
	}
	current, found, err := Lookup(ctx, repo, alias)
	if err != nil {
		return false, err
	}
	if found && current.Digest == desc.Digest {
		return false, nil
	}
	return true, repo.Tag(ctx, desc, alias)
}
