package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"slipway/engine"
	"slipway/planner/source"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// crashed begins the message of an error that is a mistake in BuildKit.
const crashed = "BuildKit's conversion crashed"

// allCaps says that the solver can do everything that this BuildKit knows.
var allCaps = sync.OnceValue(func() apicaps.CapSet { return pb.Caps.CapSet(pb.Caps.All()) })

// convert is BuildKit's own conversion. Its result is the definition, the image's
// config and that of its base.
func convert(ctx context.Context, in Input, project images, world World, resolver llb.ImageMetaResolver, warn linter.LintWarnFunc) (def *llb.Definition, config, baseConfig []byte, err error) {
	// Whoever makes a base image decides what is parsed: its triggers.
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%s: %v", crashed, broken)
		}
	}()
	caps := allCaps()
	res, err := dockerfile2llb.Dockerfile2LLB(ctx, in.Text, dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      project.args(in.Args),
			Target:         in.Target,
			BuildPlatforms: []ocispec.Platform{world.Builder},
			ExtraHosts:     world.Hosts,
			NetworkMode:    world.Network,
			// As BuildKit's frontend reads them (dockerui.Client).
			CacheIDNamespace: in.Args["BUILDKIT_CACHE_MOUNT_NS"],
			Hostname:         in.Args["BUILDKIT_SANDBOX_HOSTNAME"],
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

// readsOf tells whether a definition reads the context, and the paths of it that
// it names; none is all.
func readsOf(srcs []*pb.SourceOp) (reads bool, follow []string, err error) {
	for _, src := range srcs {
		if !strings.HasPrefix(src.Identifier, localScheme) {
			continue
		}
		if s := src.Attrs[pb.AttrFollowPaths]; s != "" {
			if err := json.Unmarshal([]byte(s), &follow); err != nil {
				return false, nil, fmt.Errorf("reading the build definition: %w", err)
			}
		}
		return true, follow, nil
	}
	return false, nil, nil
}

// list lists what a build that follows these paths reads of the context; nil if it
// does not read it.
func (r *Recipe) list(ctx context.Context, reads bool, follow []string) (*source.Listing, error) {
	if !reads {
		return nil, nil
	}
	listing, err := r.in.Context.Listing(ctx, r.in.Ignore, follow)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the context: %w", r.in.Path, err)
	}
	return listing, nil
}

func entries(l *source.Listing) []source.Entry {
	if l == nil {
		return nil
	}
	return l.Entries
}

// readsFields are the fields of the key that stand for a listing.
func readsFields(l *source.Listing) []byte {
	if l == nil {
		return nil
	}
	return l.Derive(func(entries []source.Entry) (fields []byte) {
		size := 0
		for _, e := range entries {
			size += len(e.Path) + len(e.OID) + len(e.Link) + 32
		}
		fields = make([]byte, 0, size)
		var identity []byte
		for _, e := range entries {
			identity = e.AppendIdentity(identity[:0])
			fields = engine.AppendField(fields, "reads", identity)
		}
		return fields
	})
}
