package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"

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
// like `WORKDIR /app`, `CMD []` like no CMD at all. Values that no real image has
// keep them apart.
type standIn struct {
	// env, when not nil, asks the real image for its environment: for the rare
	// Dockerfile in which the base decides what files are read.
	env ConfigResolver
}

var _ llb.ImageMetaResolver = standIn{}

func (s standIn) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := ocispec.Platform{}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	img := dockerspec.DockerOCIImage{}
	img.Platform = platform
	// An image without layers would be taken for scratch.
	img.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("base layer")}}
	img.Config.Env = []string{"PATH=/.base/path"}
	img.Config.WorkingDir = "/.base/workdir"
	img.Config.Cmd = []string{"/.base/cmd"}
	img.Config.Entrypoint = []string{"/.base/entrypoint"}
	if s.env != nil {
		_, config, err := s.env.ResolveImage(ctx, ref, platform)
		if err != nil {
			return "", "", nil, err
		}
		var real dockerspec.DockerOCIImage
		if err := json.Unmarshal(config, &real); err != nil {
			return "", "", nil, fmt.Errorf("reading the config of %s: %w", ref, err)
		}
		img.Config.Env = real.Config.Env
	}
	dt, err := json.Marshal(img)
	return ref, "", dt, err
}

// pinned is the llb.ImageMetaResolver of building: real configs, bases by digest.
type pinned struct{ ConfigResolver }

var _ llb.ImageMetaResolver = pinned{}

func (p pinned) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := ocispec.Platform{}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	dgst, config, err := p.ResolveImage(ctx, ref, platform)
	return ref, dgst, config, err
}
