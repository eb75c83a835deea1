//go:build !linux

package pipeline

import (
	"context"
	"errors"

	"slipway/oci"
	"slipway/stages"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newSolver has nothing to build with: BuildKit runs on Linux.
func newSolver(Options, *oci.Session) solver { return noSolver{} }

type noSolver struct{}

func (noSolver) Solve(context.Context, stages.Build) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, errors.New("images are built on Linux only: run slipway there, or use --require-built-images to publish what has been built")
}

func (noSolver) Close() error { return nil }
