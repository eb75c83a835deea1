package oci

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Repository holds blobs, manifests and tags. It is either a repository of a
// registry or an OCI image layout. Manifests are told from blobs by the media
// type of their descriptor; pushing what is already there is no error. Resolve
// takes a tag or a digest and costs one request. A repository of a registry
// also has Mount (registry.Mounter).
type Repository interface {
	oras.Target
	// Reference names the repository, with neither tag nor digest.
	Reference() Reference
}

// Blob is content with its descriptor, small enough to be held in memory.
type Blob struct {
	Descriptor ocispec.Descriptor
	Data       []byte
}

// pushLimit bounds the blobs that one Pack or Copy moves at a time.
const pushLimit = 8

// Lookup finds what a tag names with one HEAD (Resolve). found is false, with
// no error, if there is no such tag or no such repository.
func Lookup(ctx context.Context, repo Repository, tag string) (desc ocispec.Descriptor, found bool, err error) {
	desc, err = repo.Resolve(ctx, tag)
	if IsNotFound(err) {
		return ocispec.Descriptor{}, false, nil
	}
	return desc, err == nil, err
}

// Pack pushes a manifest by its digest, after the blobs that it names and that
// are not there yet. Nothing is tagged. If the manifest exists it stops there,
// after one HEAD.
func Pack(ctx context.Context, repo Repository, mediaType string, manifest []byte, blobs ...Blob) (ocispec.Descriptor, error) {
	root := NewBlob(mediaType, manifest)
	if exists, err := repo.Exists(ctx, root.Descriptor); err != nil || exists {
		return root.Descriptor, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(pushLimit)
	for _, blob := range blobs {
		group.Go(func() error {
			exists, err := repo.Exists(groupCtx, blob.Descriptor)
			if err != nil || exists {
				return err
			}
			return repo.Push(groupCtx, blob.Descriptor, bytes.NewReader(blob.Data))
		})
	}
	if err := group.Wait(); err != nil {
		return ocispec.Descriptor{}, err
	}
	return root.Descriptor, repo.Push(ctx, root.Descriptor, bytes.NewReader(manifest))
}

// registryRepository is a repository of a registry.
type registryRepository struct {
	session *Session
	ref     Reference
	host    *host
	claims  sync.Map // tag -> chan struct{}: one claim of a tag at a time
	flights sync.Map // digest -> chan struct{}: see sharedTarget
	ahead   sync.Map // tag -> *ahead: see LookAhead
	// aheadTurns bounds the requests of LookAhead that are in flight at once.
	aheadTurns chan struct{}

	connect sync.Once
	client  *remote.Repository
}

// newRegistryRepository needs s.mu.
func newRegistryRepository(s *Session, ref Reference) *registryRepository {
	h := s.hostLocked(apiHost(ref.Registry))
	h.use(ref.Repository)
	return &registryRepository{session: s, ref: ref, host: h, aheadTurns: make(chan struct{}, fanOut)}
}

// apiHost is where a registry's API is served.
func apiHost(registry string) string {
	if registry == dockerHub {
		return dockerHubHost
	}
	return registry
}

func (s *Session) newRemote(registryHost, repository string, plainHTTP, hint bool) *remote.Repository {
	return &remote.Repository{
		Client:    &client{auth: s.client, tokens: s.tokens, host: s.host(registryHost), hint: hint},
		Reference: registry.Reference{Registry: registryHost, Repository: repository},
		PlainHTTP: plainHTTP,
	}
}

// remote connects on first use: whether to speak TLS may have to be found out.
func (r *registryRepository) remote(ctx context.Context) *remote.Repository {
	r.connect.Do(func() {
		r.client = r.session.newRemote(r.host.name, r.ref.Repository, r.host.plainHTTP(ctx), true)
	})
	return r.client
}

func (r *registryRepository) Reference() Reference { return r.ref }

func (r *registryRepository) fail(op, what string, err error) error {
	return r.session.fail(op, r.ref.Name()+what, r.host.name, err)
}

func (r *registryRepository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := r.remote(ctx).Fetch(ctx, desc)
	return rc, r.fail("fetch", "@"+desc.Digest.String(), err)
}

func (r *registryRepository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	exists, err := r.remote(ctx).Exists(ctx, desc)
	return exists, r.fail("look up", "@"+desc.Digest.String(), err)
}

func (r *registryRepository) Push(ctx context.Context, desc ocispec.Descriptor, data io.Reader) error {
	return r.fail("push", "@"+desc.Digest.String(), r.remote(ctx).Push(ctx, desc, data))
}

func (r *registryRepository) resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	desc, err := r.remote(ctx).Resolve(ctx, reference)
	if err != nil && lacksDigest(err) {
		// Docker-Content-Digest is optional in the specification; a GET has the
		// bytes to compute the digest from.
		var rc io.ReadCloser
		if desc, rc, err = r.remote(ctx).FetchReference(ctx, reference); err == nil {
			rc.Close()
		}
	}
	separator := ":"
	if strings.Contains(reference, ":") {
		separator = "@"
	}
	return desc, r.fail("look up", separator+reference, err)
}

// lacksDigest knows the transport's error by its text, for want of a type.
func lacksDigest(err error) bool {
	return strings.Contains(err.Error(), "request missing required header")
}

func (r *registryRepository) Tag(ctx context.Context, desc ocispec.Descriptor, tag string) error {
	manifest, err := content.FetchAll(ctx, r, desc)
	if err != nil {
		return r.fail("tag", ":"+tag, err)
	}
	return r.pushTag(ctx, desc, manifest, tag)
}

func (r *registryRepository) pushTag(ctx context.Context, desc ocispec.Descriptor, manifest []byte, tag string) error {
	return r.fail("tag", ":"+tag, r.remote(ctx).PushReference(ctx, desc, bytes.NewReader(manifest), tag))
}

// Mount takes a blob over from another repository of the registry. A registry
// that cannot (202) has thereby opened an upload, which goes on with the
// content; one that refuses outright is sent the content as if never asked.
func (r *registryRepository) Mount(ctx context.Context, desc ocispec.Descriptor, from string, open func() (io.ReadCloser, error)) error {
	opened := false
	err := r.remote(ctx).Mount(ctx, desc, from, func() (io.ReadCloser, error) {
		opened = true
		return open()
	})
	var refused *errcode.ErrorResponse
	if !opened && errors.As(err, &refused) && refused.StatusCode < http.StatusInternalServerError {
		rc, openErr := open()
		if openErr != nil {
			return openErr
		}
		defer rc.Close()
		return r.Push(ctx, desc, rc)
	}
	return r.fail("mount from "+from+" to", "@"+desc.Digest.String(), err)
}
