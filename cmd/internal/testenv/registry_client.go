package testenv

import (
	"errors"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// PushImage puts img under ref, "repository:tag" without the host, and returns
// the digest of its manifest. "library/node:latest" makes the registry a mirror
// of Docker Hub. What the methods here do is not in the log.
func (r *RegistryServer) PushImage(ref string, img v1.Image) v1.Hash {
	r.t.Helper()
	if err := remote.Write(r.ref(ref), img, r.options()...); err != nil {
		r.t.Fatalf("pushing %s: %v", ref, err)
	}
	digest, err := img.Digest()
	if err != nil {
		r.t.Fatalf("digest of %s: %v", ref, err)
	}
	return digest
}

// Image returns the image at ref, "repository:tag" or "repository@digest".
func (r *RegistryServer) Image(ref string) v1.Image {
	r.t.Helper()
	img, err := remote.Image(r.ref(ref), r.options()...)
	if err != nil {
		r.t.Fatalf("reading %s: %v", ref, err)
	}
	return img
}

// Digest returns what ref points at, empty when there is nothing.
func (r *RegistryServer) Digest(ref string) string {
	r.t.Helper()
	d, err := remote.Head(r.ref(ref), r.options()...)
	if isNotFound(err) {
		return ""
	}
	if err != nil {
		r.t.Fatalf("looking for %s: %v", ref, err)
	}
	return d.Digest.String()
}

// Tags returns the sorted tags of a repository, none when it does not exist.
func (r *RegistryServer) Tags(repository string) []string {
	r.t.Helper()
	repo, err := name.NewRepository(r.Host+"/"+repository, name.Insecure)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	tags, err := remote.List(repo, r.options()...)
	if err != nil && !isNotFound(err) {
		r.t.Fatalf("listing %s: %v", repository, err)
	}
	slices.Sort(tags)
	return tags
}

// ref is ref on this registry.
func (r *RegistryServer) ref(ref string) name.Reference {
	r.t.Helper()
	parsed, err := name.ParseReference(r.Host+"/"+ref, name.Insecure)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	return parsed
}

// options are those of this package's own requests: as the first user, unlogged.
func (r *RegistryServer) options() []remote.Option {
	o := []remote.Option{remote.WithTransport(r.transport), remote.WithContext(r.t.Context())}
	if len(r.users) > 0 {
		o = append(o, remote.WithAuth(&r.users[0]))
	}
	return o
}

func isNotFound(err error) bool {
	var e *transport.Error
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound
}

// marked marks requests as this package's own.
type marked struct{ http.RoundTripper }

func (m marked) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(ownHeader, "1")
	return m.RoundTripper.RoundTrip(req)
}
