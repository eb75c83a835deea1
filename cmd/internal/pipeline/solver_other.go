//go:build !linux

package pipeline

import (
	"context"
	"errors"

	"slipway/oci"
	"slipway/stages"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newSolver has nothing to build with: BuildKit runs on Linux.
func newSolver(Options, *oci.Session) solver { return noSolver{} }

func prune(context.Context, host.Program, string, state.Keep) (state.Collected, error) {
	return state.Collected{}, nil
}

type noSolver struct{}

func (noSolver) Solve(context.Context, stages.Build) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, errors.New("images are built by BuildKit, which runs on Linux: name one that does with --builder, for example docker-container://buildkitd after docker run --detach --privileged --name buildkitd moby/buildkit, or tcp://HOST:1234; or publish what has been built with --require-built-images")
}

func (noSolver) Close() error { return nil }
