// Package dockerfile turns a Dockerfile into what BuildKit runs, in this
// process, twice: at plan time over stand-in base images, for the key, and at
// build time over the real ones. docs/keys.md is the specification of the key.
//
// It must never know where images are kept or how they are built: no registry,
// no solver, no werf.yaml.
package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/lock"
	"slipway/planner/source"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
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
	// it (all of it when there are none). Who asks for the same gets the same one.
	Listing(ctx context.Context, excludes, followPaths []string) (*source.Listing, error)
	// OnError is the same context, which tells fn of any error of reading a file.
	OnError(fn func(error)) *source.Context
}

// Input is one image section with everything it names read.
type Input struct {
	Path     string // of the Dockerfile, relative to the repository, for messages
	Text     []byte
	Parsed   func() (*parser.Result, error) // Text by parser.Parse, made once for all that have the same; nil parses it
	Target   string
	Args     map[string]string
	Platform ocispec.Platform
	Context  Context
	Ignore   []string // patterns of .dockerignore
	// Dependencies are the project's images that this one is made from.
	Dependencies []Dependency
	// CacheVersion is the user's way to another key for the same image; may be "".
	CacheVersion string
	// Edit changes the image's config after the build; EditKey stands for it in
	// the key. Both are empty if there is nothing to change.
	Edit    func(config []byte) ([]byte, error)
	EditKey string
	// Lock pins base images and remote files; nil leaves them floating.
	Lock *lock.File
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
	// Bases are the base images, normalised, sorted; without those of the project.
	Bases []string
	// Remotes are what ADDs fetch and the Dockerfile does not pin, sorted by name.
	Remotes []Remote
	// Config is the image's config as planned: what an image made from this one is
	// planned on.
	Config []byte

	in Input
	// Listing is what the key covers of the context; nil if that is not read at all.
	Listing *source.Listing
}

// Solvable is what a solver needs of a recipe.
type Solvable struct {
	Definition *llb.Definition
	Config     []byte
	BaseConfig []byte // of the image that the target is based on; nil for scratch
	Warnings   []Warning
	SSH        string // the id of the ssh agent that an ADD of a repository needs; "" for none
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
	project := images{dependencies: in.Dependencies, platform: in.Platform}
	for _, d := range in.Dependencies {
		project.made = append(project.made, d.planned())
	}
	exp, err := expand(in, project.args(in.Args), predefinedArgs(builderStandIn, in.Platform, in.Target))
	if err != nil {
		return nil, diagnose(in, err)
	}
	resolver := standIn{images: project, lock: in.Lock}
	if exp.needsBase {
		resolver.env = in.Bases
	}
	r := &Recipe{in: in}
	offline := in
	offline.Text = substitute(in.Text, exp.hidden)
	def, config, _, err := convert(ctx, offline, project, World{Builder: builderStandIn}, resolver, nil)
	if err != nil {
		return nil, diagnose(in, err)
	}
	if r.Config = config; in.Edit != nil {
		if r.Config, err = in.Edit(config); err != nil {
			return nil, fmt.Errorf("%s: editing the image config: %w", in.Path, err)
		}
	}
	srcs, err := sources(def)
	if err != nil {
		return nil, err
	}
	for _, src := range srcs {
		name, ok := strings.CutPrefix(src.Identifier, imageScheme)
		if ok && !project.has(name) {
			r.Bases = append(r.Bases, name)
		}
	}
	if def, r.Remotes, err = pinRemotes(in, def, srcs); err != nil {
		return nil, err
	}
	slices.Sort(r.Bases)
	r.Bases = slices.Compact(r.Bases)
	reads, follow, err := readsOf(srcs)
	if err != nil {
		return nil, err
	}
	if r.Listing, err = r.list(ctx, reads, follow); err != nil {
		return nil, err
	}
	canon, err := canonical(def, project)
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
	w.Fields(readsFields(r.Listing))
	if in.CacheVersion != "" {
		w.Field("cache version", in.CacheVersion)
	}
	if in.EditKey != "" {
		w.Field("config edit", in.EditKey)
	}
	r.Key = w.Sum()
	return r, nil
}

// World is what is real at build time.
type World struct {
	Bases   ConfigResolver
	Builder ocispec.Platform // of the machine that builds
	Made    []Made           // the dependencies, in the order of Input.Dependencies
	// Hosts and Network only say how RUNs are run.
	Hosts   []llb.HostIP
	Network pb.NetMode
}

// Solvable converts again, over the real base images, pinned by digest. A base
// whose ONBUILD triggers or variables make the build read files that the key does
// not cover is refused.
func (r *Recipe) Solvable(ctx context.Context, world World) (*Solvable, error) {
	project := images{dependencies: r.in.Dependencies, made: world.Made, platform: r.in.Platform}
	if len(world.Made) != len(r.in.Dependencies) {
		return nil, fmt.Errorf("%s: %d of the %d images that this one is made from are there", r.in.Path, len(world.Made), len(r.in.Dependencies))
	}
	var found warnings
	def, config, baseConfig, err := convert(ctx, r.in, project, world, pinned{withImages{images: project, others: world.Bases}, r.in.Lock}, found.add)
	if broken := found.asErrors(r.in, err); broken != nil {
		return nil, broken
	}
	if err != nil {
		return nil, &solveError{diagnostic: diagnose(r.in, err), cause: err}
	}
	if r.in.Edit != nil {
		if config, err = r.in.Edit(config); err != nil {
			return nil, fmt.Errorf("%s: editing the image config: %w", r.in.Path, err)
		}
	}
	srcs, err := sources(def)
	if err != nil {
		return nil, err
	}
	if def, _, err = pinRemotes(r.in, def, srcs); err != nil {
		return nil, err
	}
	reads, follow, err := readsOf(srcs)
	if err != nil {
		return nil, err
	}
	now, err := r.list(ctx, reads, follow)
	if err != nil {
		return nil, err
	}
	covered := readsFields(r.Listing)
	if !bytes.Equal(readsFields(now), covered) {
		return nil, r.uncovered(now)
	}
	hint := digest.FromBytes(covered).String()
	ignore, err := json.Marshal(r.in.Ignore)
	if err != nil {
		return nil, err
	}
	def, err = rewrite(def, func(op *pb.Op) {
		src := op.GetSource()
		if src == nil {
			return
		}
		project.fromLayout(src)
		if !strings.HasPrefix(src.Identifier, localScheme) {
			return
		}
		// Files have fixed dates, and BuildKit takes files of one size and date
		// for the same: a context that it kept may serve the same files only.
		src.Attrs[pb.AttrSharedKeyHint] = hint
		if len(r.in.Ignore) > 0 {
			src.Attrs[pb.AttrExcludePatterns] = string(ignore)
		}
	})
	if err != nil {
		return nil, err
	}
	return &Solvable{
		Definition: def, Config: config, BaseConfig: baseConfig, Warnings: found.sorted(r.in), SSH: sshAgent(srcs),
		Contexts: map[string]func(func(error)) fsutil.FS{
			dockerui.DefaultLocalNameContext: func(onError func(error)) fsutil.FS { return r.in.Context.OnError(onError) },
		},
	}, nil
}

// uncovered says which files a base image made the build read.
func (r *Recipe) uncovered(now *source.Listing) error {
	known := map[string]bool{}
	for _, f := range entries(r.Listing) {
		known[f.Path] = true
	}
	for _, f := range entries(now) {
		if !known[f.Path] && !f.Mode.IsDir() {
			return fmt.Errorf("%s: a base image (%s) makes this build read %q from the context, through an ONBUILD trigger or a variable, which the image's key does not cover; run slipway lock and commit werf.lock, where triggers are recorded, or name the files in a COPY of the Dockerfile itself",
				r.in.Path, r.bases(), f.Path)
		}
	}
	return fmt.Errorf("%s: a base image (%s) changes which files this build reads, so that the image's key would not cover them; write the paths out in the Dockerfile", r.in.Path, r.bases())
}

// bases names what the image is made from, for messages.
func (r *Recipe) bases() string {
	names := slices.Clone(r.Bases)
	for _, d := range r.in.Dependencies {
		names = append(names, d.Repo+":"+d.Key.String())
	}
	return strings.Join(names, ", ")
}
