package pipeline

import (
	"context"

	"slipway/oci"
	"slipway/stages/buildkit/embedded"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// newSolver is BuildKit on this machine.
func newSolver(o Options, session *oci.Session) solver {
	return embedded.New(embedded.Options{StateDir: o.StateDir, Limit: o.LocalCacheLimit, Session: session, CacheMounts: o.CacheMounts, Program: o.BuildKit})
}

func prune(ctx context.Context, buildkit host.Program, stateDir string, keep state.Keep) (state.Collected, error) {
	return embedded.Prune(ctx, buildkit, stateDir, keep)
}
