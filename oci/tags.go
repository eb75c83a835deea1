package oci

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of a listing. A registry that does not page answers with all tags at
// once: about a million of them fit.
const (
	tagsPerPage = 1000 // what the strictest registry allows
	maxTagPages = 10000
	maxTagPage  = 64 << 20 // bytes
)

// Tags calls page with the tags of a repository, some at a time, in the order in
// which the registry has them; an error of page ends the listing. Listing is
// slow where there are many tags, and it is for those only who have to know all.
func Tags(ctx context.Context, repo Repository, page func(tags []string) error) error {
	var stopped error
	all := func(tags []string) error {
		stopped = page(tags)
		return stopped
	}
	var err error
	switch repo := repo.(type) {
	case *registryRepository:
		client := repo.session.newRemote(repo.host.name, repo.ref.Repository, repo.host.plainHTTP(ctx), true)
		client.TagListPageSize, client.TagListMaxPages, client.MaxMetadataBytes = tagsPerPage, maxTagPages, maxTagPage
		err = client.Tags(ctx, "", all)
		if stopped == nil {
			return repo.fail("list the tags of", "", err)
		}
	case *layout:
		var entries []ocispec.Descriptor
		if entries, err = repo.read(); err != nil {
			return repo.fail("list the tags of", "", err)
		}
		var tags []string
		for _, entry := range entries {
			if tag := entry.Annotations[ocispec.AnnotationRefName]; tag != "" {
				tags = append(tags, tag)
			}
		}
		return all(tags)
	}
	return stopped
}
