package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/stages"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// image is the node that makes an image: its build, or the index over the builds
// of several platforms.
func (r *run) image(image *planner.Image) *engine.Node {
	children := make([]*engine.Node, len(image.Builds))
	for i, b := range image.Builds {
		children[i] = r.build(image, b)
	}
	return r.joined(image, image.Key, children)
}

// joined is an index over children, or the child if there is only one.
func (r *run) joined(image *planner.Image, key engine.Key, children []*engine.Node) *engine.Node {
	if len(children) == 1 {
		return children[0]
	}
	return r.once(key, func() *engine.Node {
		var of []ocispec.Platform
		for _, b := range image.Builds {
			of = append(of, b.Platform)
		}
		return &engine.Node{ID: "index " + image.Name + " " + short(key), Kind: "index", Needs: children, Stage: stages.NewIndex(r.repo, key, of)}
	})
}

// build is the node that makes an image for one platform.
func (r *run) build(image *planner.Image, b *planner.Build) *engine.Node {
	return r.once(b.Key, func() *engine.Node {
		needs := make([]*engine.Node, len(b.Needs))
		for i, need := range b.Needs {
			needs[i] = r.build(image.Needs[i], need)
		}
		id := "build " + shown(image.Name)
		if len(image.Builds) > 1 {
			id += " " + platforms.FormatAll(b.Platform)
		}
		recipe := func(ctx context.Context, made []stages.Image) (stages.Build, error) {
			return r.solvable(ctx, image, b, made)
		}
		stage := stages.NewBuild(r.repo, b.Key, recipe, lockedSolver{r.solver, b.Recipe.Remotes}, r.turns)
		if r.cache != nil {
			stage.Built = func(ctx context.Context, build stages.Build) {
				r.cache.store(ctx, image, b, strings.TrimPrefix(id, "build "), build)
			}
		}
		node := &engine.Node{ID: id, Kind: "build", Needs: needs, Stage: stage}
		if len(r.others) > 0 {
			node.Stage = &stages.Secondary{BuildStage: stage, Sources: r.others, Copies: r.copies}
		}
		return node
	})
}

// once returns the node of a key, made on first use.
func (r *run) once(key engine.Key, node func() *engine.Node) *engine.Node {
	n := r.nodes[key]
	if n == nil {
		n = node()
		n.Key = key
		r.nodes[key] = n
	}
	return n
}

// short is enough of a key to tell nodes of one image apart.
func short(key engine.Key) string { return key.String()[:12] }

// solvable asks for the real base images and makes the definition to build.
func (r *run) solvable(ctx context.Context, image *planner.Image, b *planner.Build, made []stages.Image) (stages.Build, error) {
	if r.options.RequireBuilt {
		return stages.Build{}, fmt.Errorf("image %q is not built: %s does not exist; run slipway build without --require-built-images",
			shown(image.Name), r.repo.Reference().WithTag(b.Key.String()))
	}
	r.noteFloating(ctx)
	builder, err := r.buildPlatform(ctx, b.Platform)
	if err != nil {
		return stages.Build{}, fmt.Errorf("image %q: %w", shown(image.Name), err)
	}
	world := dockerfile.World{Bases: r.bases, Builder: builder}
	out := stages.Build{Name: shown(image.Name), Platform: b.Platform}
	for _, m := range made {
		manifest, config, _, err := oci.ReadImage(ctx, r.repo, m.Desc)
		if err != nil {
			return stages.Build{}, err
		}
		layout := m.Repo.IsLayout()
		if layout {
			out.LayoutStore = dockerfile.LayoutStore
		}
		world.Made = append(world.Made, dockerfile.Made{Digest: m.Desc.Digest, ID: manifest.Config.Digest, Config: config, Layout: layout})
	}
	if err := r.how(image, &world, &out); err != nil {
		return stages.Build{}, fmt.Errorf("image %q: %w", shown(image.Name), err)
	}
	s, err := b.Recipe.Solvable(ctx, world)
	if err != nil {
		return stages.Build{}, err
	}
	for _, w := range s.Warnings {
		// Images and platforms share Dockerfiles.
		if _, told := r.warned.LoadOrStore(w, true); !told {
			engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: w.String()})
		}
	}
	if s.SSH != "" && !slices.ContainsFunc(out.SSH, func(agent stages.SSH) bool { return agent.ID == s.SSH }) {
		return stages.Build{}, &diag.Diagnostic{
			Message: fmt.Sprintf("image %q: an ADD fetches a repository over ssh, and no agent is given to the build", shown(image.Name)),
			Advice:  "write ssh: " + s.SSH + " in the image's section of werf.yaml",
		}
	}
	out.Definition, out.Config, out.BaseConfig, out.Contexts = s.Definition, s.Config, s.BaseConfig, s.Contexts
	out.CacheFrom = r.cache.from(ctx, image, b)
	if err := r.admit(&out); err != nil {
		return stages.Build{}, err
	}
	return out, nil
}

// labelled is the node of the image with labels added, which is the image's own
// when there are none. Each platform's image gets them, and then the index is
// another one.
func (r *run) labelled(image *planner.Image, labels map[string]string) *engine.Node {
	if len(labels) == 0 {
		return r.image(image)
	}
	w := engine.NewKeyWriter("index", planner.IndexVersion, nil)
	children := make([]*engine.Node, len(image.Builds))
	for i, b := range image.Builds {
		stage := stages.NewLabel(r.repo, b.Key, labels)
		children[i] = r.once(stage.Key, func() *engine.Node {
			return &engine.Node{ID: "label " + shown(image.Name) + " " + short(stage.Key), Kind: "label", Needs: []*engine.Node{r.build(image, b)}, Stage: stage}
		})
		planner.IndexField(w, b.Platform, stage.Key)
	}
	return r.joined(image, w.Sum(), children)
}
