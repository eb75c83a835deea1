package pipeline

import (
	"context"

	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"
	"slipway/stages/buildkit/remote"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// solver is a stages.Solver with an end.
type solver interface {
	stages.Solver
	Close() error
}

// solverOf is the builders that the options name, or else this machine's own
// BuildKit. Nothing is started or connected to before the first build.
func solverOf(o Options, session *oci.Session) (solver, error) {
	if len(o.Builders) == 0 {
		return newSolver(o, session), nil
	}
	if o.CacheMounts != "" {
		return nil, &diag.Diagnostic{Message: "--cache-mounts is for this machine's BuildKit, and a builder is given, which keeps its caches itself", Advice: "leave one of them out"}
	}
	options := remote.Options{Credentials: session.Credential}
	taken := map[string]bool{}
	for _, text := range o.Builders {
		address, err := remote.ParseAddress(text)
		if err != nil {
			return nil, &diag.Diagnostic{Message: "builder " + err.Error()}
		}
		if taken[address.Name] {
			return nil, &diag.Diagnostic{Message: "builder " + address.Name + " is given twice", Advice: "give it once, with ?limit=N for N builds at once"}
		}
		taken[address.Name] = true
		options.Builders = append(options.Builders, address)
	}
	s, err := remote.New(options)
	if err != nil {
		return nil, &diag.Diagnostic{Message: "builder " + err.Error()}
	}
	return s, nil
}

// buildPlatform is what a build for target takes for BUILDPLATFORM: the platform of
// the machine that builds.
func (r *run) buildPlatform(ctx context.Context, target ocispec.Platform) (ocispec.Platform, error) {
	if s, ok := r.solver.(*remote.Solver); ok {
		return s.BuildPlatform(ctx, target)
	}
	return planner.DefaultPlatform(), nil
}
