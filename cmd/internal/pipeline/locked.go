package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway/planner/dockerfile"
	"slipway/planner/lock"
	"slipway/stages"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// lockedSolver explains a build that failed because what a remote ADD fetches is
// not what the lock file says: a solver knows checksums, not where they are from.
type lockedSolver struct {
	stages.Solver
	remotes []dockerfile.Remote
}

func (s lockedSolver) Solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	desc, err := s.Solver.Solve(ctx, b)
	var failed *stages.SolveError
	if err == nil || !errors.As(err, &failed) {
		return desc, err
	}
	for _, r := range s.remotes {
		// What is fetched is named by its checksum or commit, not always by URL.
		if r.Pin == "" || !strings.Contains(failed.Err.Error(), r.Pin) {
			continue
		}
		explained := *failed
		explained.File, explained.Line, explained.Text = r.Dockerfile, r.Line, ""
		explained.Err = fmt.Errorf("ADD %s: what %s pins cannot be had: %w; if what is there now is right, run slipway lock --update %s and commit the file",
			r.Name, lock.FileName, failed.Err, r.Name)
		return desc, &explained
	}
	return desc, err
}
