package stages

import (
	"cmp"
	"context"
	"errors"

	"slipway/engine"
	"slipway/oci"
)

// Recipe makes the build that a key stands for, when it has to be done: it may
// ask registries for base images. images are the project's own that this one is
// made from, in the order of the node's needs.
type Recipe func(ctx context.Context, images []Image) (Build, error)

// BuildStage makes an image with the solver and keeps it under its key tag.
type BuildStage struct {
	keyed
	recipe Recipe
	solver Solver
	turns  *Turns
	// Built, if set, is told of a build that has been run when its key tag is
	// usable. It must not block.
	Built func(ctx context.Context, b Build)
}

// NewBuild makes the stage that builds recipe into repo, in its turn.
func NewBuild(repo oci.Repository, key engine.Key, recipe Recipe, solver Solver, turns *Turns) *BuildStage {
	return &BuildStage{keyed: keyed{Repo: repo, Key: key}, recipe: recipe, solver: solver, turns: turns}
}

// Run solves the build. Everything that the key tag names is in the repository
// before the tag is. While another run on this machine builds the key, the error
// is *engine.Busy.
func (s *BuildStage) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	images, err := all(needs)
	for _, image := range images {
		err = cmp.Or(err, image.Confirm(ctx))
	}
	if err != nil {
		return nil, err
	}
	done, err := s.turns.take(ctx, s.Repo.Reference().WithTag(s.Key.String()).String())
	if err != nil {
		return nil, err
	}
	defer done()
	if s.turns != nil { // another run may have had its turn since Find was called
		desc, found, err := oci.Lookup(ctx, s.Repo, s.Key.String())
		if err != nil || found {
			image := s.image(desc)
			image.found = found
			return image, err
		}
	}
	build, err := s.recipe(ctx, images)
	if err != nil {
		return nil, err
	}
	if err := oci.Prepare(ctx, s.Repo); err != nil {
		return nil, err
	}
	build.Repo = s.Repo.Reference()
	desc, err := s.solver.Solve(ctx, build)
	var failed *SolveError
	if errors.As(err, &failed) && failed.Fetch && len(build.CacheFrom) > 0 && ctx.Err() == nil {
		// A registry may have collected what a cache refers to. The cache that is
		// stored after this build takes the place of that one.
		note(ctx, "building again without layer caches: %v", failed.Err)
		build.CacheFrom = nil
		desc, err = s.solver.Solve(ctx, build)
	}
	if err != nil {
		return nil, err
	}
	image, err := s.claim(ctx, desc)
	if err == nil && s.Built != nil {
		s.Built(ctx, build)
	}
	return image, err
}
