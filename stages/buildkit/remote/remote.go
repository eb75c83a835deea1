// Package remote builds on BuildKit daemons that run elsewhere: one, or several
// as a pool. A pool sends each image to the builder that has its layers, as far as
// that runs the image's platform and is not full, and moves the builds of a
// builder that dies to the others.
//
// It must never know what a key or a Dockerfile is, nor how builders are started:
// it is given addresses, and package buildkit does the solving.
package remote

import (
	"context"
	"errors"
	"io"

	"slipway/stages"
	"slipway/stages/buildkit"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// Options configure a Solver. Builders is required.
type Options struct {
	Builders []Address
	// Credentials are what builders show to registries, for the time of a build.
	Credentials buildkit.Credentials
}

// Solver is a stages.Solver over a pool of builders. They are connected to on the
// first call. Close it.
type Solver struct{ pool *pool }

// New makes a solver. It reads certificates and connects to nothing.
func New(o Options) (*Solver, error) {
	if len(o.Builders) == 0 {
		return nil, errors.New("no builder is given")
	}
	// What BuildKit's client logs comes as errors and events, too.
	logrus.SetOutput(io.Discard)
	p := newPool()
	for _, address := range o.Builders {
		d, err := newDaemon(address, o.Credentials)
		if err != nil {
			return nil, err
		}
		p.add(address.Name, address.Limit, d)
	}
	return &Solver{pool: p}, nil
}

// Solve implements stages.Solver.
func (s *Solver) Solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	return s.pool.solve(ctx, b)
}

// BuildPlatform is the native platform of a builder that a build for target would
// go to: what such a build should take for BUILDPLATFORM.
func (s *Solver) BuildPlatform(ctx context.Context, target ocispec.Platform) (ocispec.Platform, error) {
	return s.pool.buildPlatform(ctx, target)
}

// Close ends the connections.
func (s *Solver) Close() error { return s.pool.close() }
