package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway/planner/source"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// convert is BuildKit's own conversion. Its result is the definition, the image's
// config and that of its base.
func convert(ctx context.Context, in Input, project images, world World, resolver llb.ImageMetaResolver, warn linter.LintWarnFunc) (def *llb.Definition, config, baseConfig []byte, err error) {
	caps := pb.Caps.CapSet(pb.Caps.All())
	res, err := dockerfile2llb.Dockerfile2LLB(ctx, in.Text, dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      project.args(in.Args),
			Target:         in.Target,
			BuildPlatforms: []ocispec.Platform{world.Builder},
			ExtraHosts:     world.Hosts,
			NetworkMode:    world.Network,
		},
		TargetPlatform: &in.Platform,
		MetaResolver:   resolver,
		LLBCaps:        &caps,
		Warn:           warn,
		SourceMap:      llb.NewSourceMap(nil, in.Path, "Dockerfile", in.Text),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	def, err = res.State.Marshal(ctx, llb.WithCaps(caps), llb.Platform(in.Platform))
	if err != nil {
		return nil, nil, nil, err
	}
	config, err = json.Marshal(res.Image)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("writing the image config: %w", err)
	}
	if res.BaseImage != nil {
		if baseConfig, err = json.Marshal(res.BaseImage); err != nil {
			return nil, nil, nil, fmt.Errorf("writing the base image's config: %w", err)
		}
	}
	return def, config, baseConfig, nil
}

// read lists what the definition's local source reads.
func (r *Recipe) read(ctx context.Context, srcs []*pb.SourceOp) ([]source.Entry, error) {
	for _, src := range srcs {
		if !strings.HasPrefix(src.Identifier, localScheme) {
			continue
		}
		follow, err := followed(src)
		if err != nil {
			return nil, err
		}
		listing, err := r.in.Context.Listing(ctx, r.in.Ignore, follow)
		if err != nil {
			return nil, fmt.Errorf("%s: reading the context: %w", r.in.Path, err)
		}
		return listing, nil
	}
	return nil, nil
}

// followed are the paths of the context that a local source names.
func followed(src *pb.SourceOp) (paths []string, err error) {
	if s := src.Attrs[pb.AttrFollowPaths]; s != "" {
		if err := json.Unmarshal([]byte(s), &paths); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
	}
	return paths, nil
}

func listingDigest(files []source.Entry) string {
	d := digest.SHA256.Digester()
	for _, f := range files {
		line := f.Identity()
		fmt.Fprintf(d.Hash(), "%d %s\n", len(line), line)
	}
	return d.Digest().String()
}
