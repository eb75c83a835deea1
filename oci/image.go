package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// MaxManifestSize bounds manifests, indexes and configs, which are held in
// memory; 4 MiB is what the distribution specification asks registries to take.
const MaxManifestSize = 4 << 20

// Media types of Docker's image manifest version 2, schema 2, whose JSON the
// types of the OCI specification can hold.
const (
	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// IsIndex tells an index, OCI's or Docker's, from a manifest.
func IsIndex(desc ocispec.Descriptor) bool {
	return desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == mediaTypeDockerIndex
}

// IsManifest tells an image's manifest or an index from a blob.
func IsManifest(desc ocispec.Descriptor) bool { return IsIndex(desc) || isImage(desc) }

func isImage(desc ocispec.Descriptor) bool {
	return desc.MediaType == ocispec.MediaTypeImageManifest || desc.MediaType == mediaTypeDockerManifest
}

// sniffManifest is the media type of a manifest or index, empty for other
// content. OCI's mediaType field is optional; the shape then tells.
func sniffManifest(raw []byte) string {
	var shape struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     json.RawMessage `json:"manifests"`
		Config        json.RawMessage `json:"config"`
	}
	if len(raw) > MaxManifestSize || json.Unmarshal(raw, &shape) != nil || shape.SchemaVersion != 2 {
		return ""
	}
	switch {
	case shape.MediaType != "":
		return shape.MediaType
	case shape.Manifests != nil:
		return ocispec.MediaTypeImageIndex
	case shape.Config != nil:
		return ocispec.MediaTypeImageManifest
	}
	return ""
}

// ReadImage reads the manifest of an image or chart and its config, each
// checked against its digest and bounded to 4 MiB. raw is the manifest as
// stored. An index is refused: choose one of its children first.
func ReadImage(ctx context.Context, repo Repository, desc ocispec.Descriptor) (manifest ocispec.Manifest, config, raw []byte, err error) {
	manifest, config, raw, err = readImage(ctx, repo, desc)
	if err != nil {
		err = &Error{Op: "read image", Ref: repo.Reference().WithDigest(desc.Digest).String(), Err: err}
	}
	return manifest, config, raw, err
}

func readImage(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor) (manifest ocispec.Manifest, config, raw []byte, err error) {
	if !isImage(desc) {
		return manifest, nil, nil, fmt.Errorf("%s is no image manifest but %s", desc.Digest, desc.MediaType)
	}
	if raw, err = readAll(ctx, from, desc); err != nil {
		return manifest, nil, nil, err
	}
	if err = json.Unmarshal(raw, &manifest); err != nil {
		return manifest, nil, nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	config, err = readAll(ctx, from, manifest.Config)
	return manifest, config, raw, err
}

// ReadManifest decodes a manifest or an index, checked against its digest and
// bounded to 4 MiB.
func ReadManifest(ctx context.Context, repo Repository, desc ocispec.Descriptor, into any) error {
	raw, err := readAll(ctx, repo, desc)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return &Error{Op: "read manifest", Ref: repo.Reference().WithDigest(desc.Digest).String(), Err: err}
	}
	return nil
}

func readAll(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > MaxManifestSize {
		return nil, fmt.Errorf("%s (%s) has %d bytes, more than the %d allowed", desc.Digest, desc.MediaType, desc.Size, MaxManifestSize)
	}
	return content.FetchAll(ctx, from, desc)
}

// ResolveImage finds a base image as a Dockerfile names it: "node",
// "docker.io/library/node:20", "HOST:5000/x@sha256:…". It returns the digest of
// what the name stands for, an index or a manifest, and the config of the image
// for the platform. docker.io's mirrors are asked first; one that fails for
// whatever reason is passed over, and spoken of only if all fail.
func (s *Session) ResolveImage(ctx context.Context, name string, platform ocispec.Platform) (digest.Digest, []byte, error) {
	const op = "resolve base image"
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", nil, &Error{Op: op, Ref: name, Err: err}
	}
	tagOrDigest := "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		tagOrDigest = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		tagOrDigest = digested.Digest().String()
	}
	var d digest.Digest
	var config []byte
	err = s.pull(ctx, op, name, reference.Domain(named), reference.Path(named), func(repo *remote.Repository) (err error) {
		d, config, err = resolveIn(ctx, repo, tagOrDigest, platform)
		return err
	})
	return d, config, err
}

// pull reads from a repository that is somebody else's: of docker.io's from its
// mirrors first. What fails is told of op on name.
func (s *Session) pull(ctx context.Context, op, name, registry, repository string, read func(*remote.Repository) error) error {
	var failures []error
	if registry == dockerHub {
		for _, m := range s.Mirrors(ctx) {
			err := read(s.newRemote(m.Host, path.Join(m.Prefix, repository), m.PlainHTTP, false))
			if err == nil {
				return nil
			}
			failures = append(failures, s.fail("ask mirror", m.Host, m.Host, err))
		}
	}
	host := apiHost(registry)
	err := read(s.newRemote(host, repository, s.PlainHTTP(ctx, host), false))
	if err == nil {
		return nil
	}
	if len(failures) == 0 {
		return s.fail(op, name, host, err)
	}
	failures = append(failures, s.fail("ask", registry, host, err))
	return &Error{Op: op, Ref: name, Err: joined(failures)}
}

// Find finds an image as a manifest of Kubernetes names it, which is as a
// Dockerfile does, where it can be copied from: in a mirror of docker.io that has
// it, else in its own registry. A mirror that fails is passed over.
func (s *Session) Find(ctx context.Context, name string) (Repository, ocispec.Descriptor, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, ocispec.Descriptor{}, &Error{Op: "look up", Ref: name, Err: err}
	}
	ref, wanted := Reference{Registry: reference.Domain(named), Repository: reference.Path(named)}, "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		wanted = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		wanted = digested.Digest().String()
	}
	if ref.Registry == dockerHub {
		for _, m := range s.Mirrors(ctx) {
			repo := s.mirrored(m, ref.Repository)
			if desc, err := repo.Resolve(ctx, wanted); err == nil {
				return repo, desc, nil
			}
		}
	}
	repo, err := s.Repository(ref)
	if err != nil {
		return nil, ocispec.Descriptor{}, err
	}
	desc, err := repo.Resolve(ctx, wanted)
	return repo, desc, err
}

// mirrored is a repository of docker.io in a mirror.
func (s *Session) mirrored(m Mirror, repository string) Repository {
	repository = path.Join(m.Prefix, repository)
	r := &registryRepository{session: s, ref: Reference{Registry: m.Host, Repository: repository}, host: s.host(m.Host)}
	r.connect.Do(func() { r.client = s.newRemote(m.Host, repository, m.PlainHTTP, false) })
	return r
}

func resolveIn(ctx context.Context, repo *remote.Repository, tagOrDigest string, platform ocispec.Platform) (digest.Digest, []byte, error) {
	// One GET has both the digest and the bytes; a HEAD first would double it.
	root, rc, err := repo.FetchReference(ctx, tagOrDigest)
	if err != nil {
		return "", nil, err
	}
	defer rc.Close()
	if root.Size > MaxManifestSize {
		return "", nil, fmt.Errorf("the manifest has %d bytes, more than the %d allowed", root.Size, MaxManifestSize)
	}
	raw, err := content.ReadAll(rc, root)
	if err != nil {
		return "", nil, err
	}
	if IsIndex(root) {
		child, err := choose(raw, platform)
		if err != nil {
			return "", nil, err
		}
		_, config, _, err := readImage(ctx, repo, child)
		return root.Digest, config, err
	}
	if !isImage(root) {
		return "", nil, fmt.Errorf("%s is neither an image nor an index: its media type is %s", root.Digest, root.MediaType)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return "", nil, fmt.Errorf("manifest %s: %w", root.Digest, err)
	}
	config, err := readAll(ctx, repo.Blobs(), manifest.Config)
	return root.Digest, config, err
}

// choose picks the image of an index that suits the platform best, by the same
// rules as BuildKit, which will pull it.
func choose(raw []byte, platform ocispec.Platform) (ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("index: %w", err)
	}
	matcher := platforms.Only(platform)
	var best *ocispec.Descriptor
	var exist []string
	for i, child := range index.Manifests {
		// Attestations are listed with the platform unknown/unknown.
		if child.Platform == nil || !isImage(child) || child.Platform.OS == "unknown" {
			continue
		}
		exist = append(exist, platforms.Format(*child.Platform))
		if matcher.Match(*child.Platform) && (best == nil || matcher.Less(*child.Platform, *best.Platform)) {
			best = &index.Manifests[i]
		}
	}
	if best != nil {
		return *best, nil
	}
	if len(exist) == 0 {
		return ocispec.Descriptor{}, errors.New("the index holds no image with a platform")
	}
	slices.Sort(exist)
	return ocispec.Descriptor{}, fmt.Errorf("there is no image for %s, only for %s", platforms.Format(platform), strings.Join(slices.Compact(exist), ", "))
}
