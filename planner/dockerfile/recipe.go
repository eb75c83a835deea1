// Package dockerfile turns a Dockerfile into what BuildKit runs, in this
// process, twice: at plan time over stand-in base images, for the key, and at
// build time over the real ones. docs/keys.md is the specification of the key.
//
// It must never know where images are kept or how they are built: no registry,
// no solver, no werf.yaml.
package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/source"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
)

// keyVersion is raised when the meaning of a build key changes.
const keyVersion = 1

// builderStandIn takes the place of the machine that builds (BUILDPLATFORM) in
// keys, so that runners of different platforms agree.
var builderStandIn = ocispec.Platform{OS: "linux", Architecture: "amd64"}

// Context is where a build's files come from.
type Context interface {
	fsutil.FS
	// Listing lists what a local source with these patterns reads: what is left
	// of the context after the ignore patterns, as far as the followed paths reach
	// it (all of it when there are none).
	Listing(ctx context.Context, excludes, followPaths []string) ([]source.Entry, error)
	// OnError is the same context, which tells fn of any error of reading a file.
	OnError(fn func(error)) *source.Context
}

// Input is one image section with everything it names read.
type Input struct {
	Path     string // of the Dockerfile, relative to the repository, for messages
	Text     []byte
	Target   string
	Args     map[string]string
	Platform ocispec.Platform
	Context  Context
	Ignore   []string // patterns of .dockerignore
	// Bases is asked for a base's config only if the base decides which files
	// are read.
	Bases ConfigResolver
	// Trace gets every byte that enters the key; may be nil.
	Trace io.Writer
}

// Recipe is a planned build: its key, and the way to the definition that is
// built.
type Recipe struct {
	Key engine.Key
	// Bases are the base images, normalised, sorted.
	Bases []string

	in      Input
	listing []source.Entry // what the key covers of the context
	covered string         // digest of listing
}

// Solvable is what a solver needs of a recipe.
type Solvable struct {
	Definition *llb.Definition
	Config     []byte
	// Contexts open the local sources that Definition names; each tells of errors
	// of reading, which fsutil's sender would lose.
	Contexts map[string]func(onError func(error)) fsutil.FS
}

// Plan converts in's Dockerfile and computes its key. Errors in the Dockerfile
// are diagnostics.
func Plan(ctx context.Context, in Input) (*Recipe, error) {
	if err := checkSyntax(in); err != nil {
		return nil, err
	}
	bp := builderStandIn
	exp, err := expand(in.Text, in.Target, in.Args, predefinedArgs(bp, in.Platform, in.Target))
	if err != nil {
		return nil, diagnose(in, err)
	}
	resolver := standIn{}
	if exp.needsBase {
		resolver.env = in.Bases
	}
	def, config, err := convert(ctx, in, bp, resolver)
	if err != nil {
		return nil, diagnose(in, err)
	}
	r := &Recipe{in: in}
	srcs, err := sources(def)
	if err != nil {
		return nil, err
	}
	for _, src := range srcs {
		if name, ok := strings.CutPrefix(src.Identifier, "docker-image://"); ok {
			r.Bases = append(r.Bases, name)
		}
	}
	slices.Sort(r.Bases)
	r.Bases = slices.Compact(r.Bases)
	if r.listing, err = r.read(ctx, srcs); err != nil {
		return nil, err
	}
	r.covered = listingDigest(r.listing)
	canon, err := canonical(def)
	if err != nil {
		return nil, err
	}

	w := engine.NewKeyWriter("build", keyVersion, in.Trace)
	w.Field("platform", platforms.FormatAll(in.Platform))
	w.Field("definition", root(canon).String())
	w.Field("config", string(config))
	for _, word := range exp.words {
		w.Field("expands", word)
	}
	for _, f := range r.listing {
		w.Field("reads", f.Identity())
	}
	r.Key = w.Sum()
	return r, nil
}

// Solvable converts again, over the real base images, pinned by digest. builder
// is the platform of the machine that will build. A base whose ONBUILD triggers
// or variables make the build read files that the key does not cover is refused.
func (r *Recipe) Solvable(ctx context.Context, bases ConfigResolver, builder ocispec.Platform) (*Solvable, error) {
	def, config, err := convert(ctx, r.in, builder, pinned{bases})
	if err != nil {
		return nil, &solveError{diagnostic: diagnose(r.in, err), cause: err}
	}
	srcs, err := sources(def)
	if err != nil {
		return nil, err
	}
	now, err := r.read(ctx, srcs)
	if err != nil {
		return nil, err
	}
	if listingDigest(now) != r.covered {
		return nil, r.uncovered(now)
	}
	ignore, err := json.Marshal(r.in.Ignore)
	if err != nil {
		return nil, err
	}
	def, err = rewriteSources(def, func(src *pb.SourceOp) {
		if !strings.HasPrefix(src.Identifier, localScheme) {
			return
		}
		// Files have fixed dates, and BuildKit takes files of one size and date
		// for the same: a context that it kept may serve the same files only.
		src.Attrs[pb.AttrSharedKeyHint] = r.covered
		if len(r.in.Ignore) > 0 {
			src.Attrs[pb.AttrExcludePatterns] = string(ignore)
		}
	})
	if err != nil {
		return nil, err
	}
	return &Solvable{
		Definition: def, Config: config,
		Contexts: map[string]func(func(error)) fsutil.FS{
			dockerui.DefaultLocalNameContext: func(onError func(error)) fsutil.FS { return r.in.Context.OnError(onError) },
		},
	}, nil
}

// uncovered says which files a base image made the build read.
func (r *Recipe) uncovered(now []source.Entry) error {
	known := map[string]bool{}
	for _, f := range r.listing {
		known[f.Path] = true
	}
	for _, f := range now {
		if !known[f.Path] && !f.Mode.IsDir() {
			return fmt.Errorf("%s: a base image (%s) makes this build read %q from the context, through an ONBUILD trigger or a variable, which the image's key does not cover; name the files in a COPY of the Dockerfile itself, or use a base without such triggers",
				r.in.Path, strings.Join(r.Bases, ", "), f.Path)
		}
	}
	return fmt.Errorf("%s: a base image (%s) changes which files this build reads, so that the image's key would not cover them; write the paths out in the Dockerfile", r.in.Path, strings.Join(r.Bases, ", "))
}

// convert is BuildKit's own conversion. Its result is the definition and the
// image's config.
func convert(ctx context.Context, in Input, builder ocispec.Platform, resolver llb.ImageMetaResolver) (*llb.Definition, []byte, error) {
	caps := pb.Caps.CapSet(pb.Caps.All())
	res, err := dockerfile2llb.Dockerfile2LLB(ctx, in.Text, dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      maps.Clone(in.Args),
			Target:         in.Target,
			BuildPlatforms: []ocispec.Platform{builder},
		},
		TargetPlatform: &in.Platform,
		MetaResolver:   resolver,
		LLBCaps:        &caps,
		SourceMap:      llb.NewSourceMap(nil, in.Path, "Dockerfile", in.Text),
	})
	if err != nil {
		return nil, nil, err
	}
	def, err := res.State.Marshal(ctx, llb.WithCaps(caps), llb.Platform(in.Platform))
	if err != nil {
		return nil, nil, err
	}
	config, err := json.Marshal(res.Image)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the image config: %w", err)
	}
	return def, config, nil
}

// read lists what the definition's local source reads.
func (r *Recipe) read(ctx context.Context, srcs []*pb.SourceOp) ([]source.Entry, error) {
	for _, src := range srcs {
		if !strings.HasPrefix(src.Identifier, localScheme) {
			continue
		}
		var follow []string
		if s := src.Attrs[pb.AttrFollowPaths]; s != "" {
			if err := json.Unmarshal([]byte(s), &follow); err != nil {
				return nil, fmt.Errorf("reading the build definition: %w", err)
			}
		}
		listing, err := r.in.Context.Listing(ctx, r.in.Ignore, follow)
		if err != nil {
			return nil, fmt.Errorf("%s: reading the context: %w", r.in.Path, err)
		}
		return listing, nil
	}
	return nil, nil
}

func listingDigest(files []source.Entry) string {
	d := digest.SHA256.Digester()
	for _, f := range files {
		line := f.Identity()
		fmt.Fprintf(d.Hash(), "%d %s\n", len(line), line)
	}
	return d.Digest().String()
}
