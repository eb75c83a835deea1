package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway/engine"
	"slipway/planner/dockerfile"
	"slipway/planner/lock"
	"slipway/stages"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// lockedSolver explains a build that failed because what a remote ADD fetches is
// not what the lock file or the Dockerfile says: a solver knows checksums, not
// where they are from.
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
	if failed.File == "" {
		return desc, misplaced(b.Definition, failed)
	}
	return desc, err
}

// misplaced gives a failure the place of the ADD whose checksum it names.
func misplaced(def *llb.Definition, failed *stages.SolveError) error {
	sources := map[string]*pb.SourceOp{} // digest -> what has a checksum that the failure names
	for _, dt := range def.Def {         // inputs stand before what uses them
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return failed
		}
		if src := op.GetSource(); src != nil {
			if sum := src.Attrs[pb.AttrHTTPChecksum] + src.Attrs[pb.AttrGitChecksum]; sum != "" && strings.Contains(failed.Err.Error(), sum) {
				sources[digest.FromBytes(dt).String()] = src
			}
		}
		for _, in := range op.Inputs {
			if src := sources[in.Digest]; src != nil {
				explained := *failed
				at := instruction(def.Source, digest.FromBytes(dt))
				explained.File, explained.Line, explained.Text = at.File, at.Line, at.Source
				explained.Err = fmt.Errorf("%s is not what --checksum says: %w", engine.Redact(src.Identifier), failed.Err)
				return &explained
			}
		}
	}
	return failed
}
