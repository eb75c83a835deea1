package oci

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

const (
	dockerHub     = "docker.io"
	dockerHubHost = "registry-1.docker.io" // where docker.io's API is served
	layoutPrefix  = "oci:"
)

// Reference names a repository or something in it:
//
//	HOST[:PORT]/REPO[:TAG][@DIGEST]   in a registry
//	oci:DIR[:TAG][@DIGEST]            in an OCI image layout
//
// The grammar of the first is that of the OCI distribution specification, with
// an explicit host.
type Reference struct {
	Dir        string // of a layout, as given; empty for a registry
	Registry   string // HOST[:PORT]
	Repository string
	Tag        string
	Digest     digest.Digest
}

// maxTag is how long a tag may be, in bytes.
const maxTag = 128

// The pattern has no bound of its own: that makes a hundred times more of it, which is
// compiled whenever the program starts.
var tagPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

// IsTag tells whether s can be a tag: the distribution specification's <reference>.
func IsTag(s string) bool { return len(s) <= maxTag && tagPattern.MatchString(s) }

// ParseReference parses what a user writes for --repo or --tag.
func ParseReference(s string) (Reference, error) {
	ref, err := parse(s)
	if err != nil {
		return Reference{}, fmt.Errorf("invalid reference %q: %w", s, err)
	}
	return ref, nil
}

func parse(s string) (Reference, error) {
	if rest, ok := strings.CutPrefix(s, layoutPrefix); ok {
		return parseLayout(rest)
	}
	if strings.Contains(s, "://") {
		return Reference{}, errors.New("write it without a scheme, as HOST/REPO")
	}
	host, path, ok := strings.Cut(s, "/")
	if !ok || !isHost(host) {
		return Reference{}, fmt.Errorf("the registry must be explicit: write HOST/%s (for Docker Hub %s/%s), or oci:DIR for an OCI image layout", s, dockerHub, s)
	}
	switch host {
	case "index.docker.io", dockerHubHost:
		host = dockerHub
	}
	if host == dockerHub && !strings.Contains(path, "/") {
		path = "library/" + path // where Docker Hub keeps names of one part
	}
	parsed, err := reference.Parse(host + "/" + path)
	switch {
	case errors.Is(err, reference.ErrNameContainsUppercase):
		return Reference{}, errors.New("the repository's name must be in lower case")
	case errors.Is(err, reference.ErrReferenceInvalidFormat):
		return Reference{}, errors.New("it must be HOST[:PORT]/REPO[:TAG][@DIGEST]")
	case err != nil:
		return Reference{}, err
	}
	named, ok := parsed.(reference.Named)
	if !ok {
		return Reference{}, errors.New("it must be HOST[:PORT]/REPO[:TAG][@DIGEST]")
	}
	ref := Reference{Registry: reference.Domain(named), Repository: reference.Path(named)}
	if tagged, ok := parsed.(reference.Tagged); ok {
		ref.Tag = tagged.Tag()
	}
	if digested, ok := parsed.(reference.Digested); ok {
		ref.Digest = digested.Digest()
	}
	return ref, ref.validate()
}

// parseLayout parses what follows "oci:". A tag is what follows the last colon,
// if there is no slash in it: DIR may hold colons further up.
func parseLayout(s string) (Reference, error) {
	ref := Reference{Dir: s}
	if dir, d, ok := cutLast(ref.Dir, "@"); ok {
		if parsed, err := digest.Parse(d); err == nil {
			ref.Dir, ref.Digest = dir, parsed
		}
	}
	if dir, tag, ok := cutLast(ref.Dir, ":"); ok && !strings.ContainsAny(tag, `/\`) {
		if tag == "" {
			return Reference{}, errors.New("there is nothing after the last colon: write oci:DIR or oci:DIR:TAG")
		}
		ref.Dir, ref.Tag = dir, tag
	}
	if ref.Dir == "" {
		return Reference{}, errors.New("the directory is missing: write oci:DIR or oci:DIR:TAG")
	}
	return ref, ref.validate()
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// isHost tells a registry's host from the first part of a repository's name, as
// all of Docker's tools do.
func isHost(s string) bool {
	return strings.ContainsAny(s, ".:") || s == "localhost"
}

// validate covers references that were put together by hand or by WithTag.
func (r Reference) validate() error {
	if r.Tag != "" && !IsTag(r.Tag) {
		return fmt.Errorf("invalid tag %q: a tag has up to 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'", r.Tag)
	}
	if r.Digest != "" {
		if err := r.Digest.Validate(); err != nil {
			return fmt.Errorf("invalid digest %q: %w", r.Digest, err)
		}
	}
	if r.IsLayout() {
		if r.Registry != "" || r.Repository != "" {
			return errors.New("a reference cannot be both in a layout and in a registry")
		}
		return nil
	}
	if r.Registry == "" || r.Repository == "" {
		return errors.New("the reference is empty")
	}
	if _, err := reference.WithName(r.Name()); err != nil {
		return fmt.Errorf("%s: %w", r.Name(), err)
	}
	return nil
}

// IsLayout tells a layout from a registry.
func (r Reference) IsLayout() bool { return r.Dir != "" }

// WithTag is the same repository with another tag and no digest.
func (r Reference) WithTag(tag string) Reference {
	r.Tag, r.Digest = tag, ""
	return r
}

// WithDigest is the same reference, tag included, with another digest.
func (r Reference) WithDigest(d digest.Digest) Reference {
	r.Digest = d
	return r
}

func (r Reference) base() Reference { return r.WithTag("") }

// Name is the repository without tag and digest: HOST/REPO or oci:DIR.
func (r Reference) Name() string {
	if r.IsLayout() {
		return layoutPrefix + r.Dir
	}
	return r.Registry + "/" + r.Repository
}

// String is what ParseReference takes.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}
