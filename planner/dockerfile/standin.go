package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway/planner/lock"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ConfigResolver answers with the digest and the config of a base image.
type ConfigResolver interface {
	ResolveImage(ctx context.Context, name string, platform ocispec.Platform) (digest.Digest, []byte, error)
}

// standIn is the llb.ImageMetaResolver of planning: every base image has one and
// the same config, so that no network is needed.
//
// The config is not an empty one. What an instruction says relative to its base
// would look, over an empty config, like what another says in full: `WORKDIR app`
// like `WORKDIR /app`, `CMD []` like no CMD at all, the shell form of a RUN like an
// exec form with /bin/sh. Values that no real image has
// keep them apart.
type standIn struct {
	images images
	lock   *lock.File // nil leaves bases floating
	// env, when not nil, asks the real image for its environment: for the rare
	// Dockerfile in which the base decides what files are read.
	env ConfigResolver
}

var _ llb.ImageMetaResolver = standIn{}

// baseLayer is in every stand-in: an image without layers is taken for scratch.
var baseLayer = digest.FromString("base layer")

func (s standIn) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := ocispec.Platform{}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	if made, ok, err := s.images.resolve(ref, platform); ok || err != nil {
		if err != nil {
			return "", "", nil, err
		}
		config, err := withLayers(made.Config)
		return ref, "", config, err
	}
	pin, err := lockedBase(s.lock, ref)
	if err != nil {
		return "", "", nil, err
	}
	img := dockerspec.DockerOCIImage{}
	img.Platform = platform
	img.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{baseLayer}}
	img.Config.Env = []string{"PATH=/.base/path"}
	img.Config.WorkingDir = "/.base/workdir"
	img.Config.Cmd = []string{"/.base/cmd"}
	img.Config.Shell = []string{"/.base/shell"}
	img.Config.Entrypoint = []string{"/.base/entrypoint"}
	if s.env != nil {
		name := ref
		if pin.Digest != "" {
			name += "@" + pin.Digest.String()
		}
		_, config, err := s.env.ResolveImage(ctx, name, platform)
		if err != nil {
			return "", "", nil, &resolveError{err}
		}
		var real dockerspec.DockerOCIImage
		if err := json.Unmarshal(config, &real); err != nil {
			return "", "", nil, fmt.Errorf("reading the config of %s: %w", ref, err)
		}
		img.Config.Env = real.Config.Env
	}
	img.Config.OnBuild = pin.OnBuild
	dt, err := json.Marshal(img)
	return ref, pin.Digest, dt, err
}

// lockedBase is what the lock file says of a base. A base that the Dockerfile
// itself gives by digest is in it only for its ONBUILD triggers.
func lockedBase(f *lock.File, ref string) (lock.Base, error) {
	if f == nil {
		return lock.Base{}, nil
	}
	base, ok := f.Bases[ref]
	if strings.Contains(ref, "@") {
		return lock.Base{OnBuild: base.OnBuild}, nil
	}
	if !ok && !f.Draft {
		return lock.Base{}, fmt.Errorf("base image %s is not in %s: run slipway lock and commit the file", ref, lock.FileName)
	}
	return base, nil
}

// resolveError is a registry's, not the user's input's.
type resolveError struct{ error }

func (e *resolveError) Unwrap() error { return e.error }

// pinned is the llb.ImageMetaResolver of building: real configs, bases by digest.
type pinned struct {
	withImages
	lock *lock.File
}

var _ llb.ImageMetaResolver = pinned{}

func (p pinned) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := ocispec.Platform{}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	name, pin := ref, lock.Base{}
	if !p.has(ref) {
		var err error
		if pin, err = lockedBase(p.lock, ref); err != nil {
			return "", "", nil, err
		}
		if pin.Digest != "" {
			name += "@" + pin.Digest.String()
		}
	}
	dgst, config, err := p.ResolveImage(ctx, name, platform)
	return ref, dgst, config, err
}
