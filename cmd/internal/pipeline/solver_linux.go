package pipeline

import (
	"context"

	"slipway/oci"
	"slipway/stages/buildkit/embedded"
	"slipway/stages/buildkit/state"
)

// newSolver is BuildKit in this process.
func newSolver(o Options, session *oci.Session) solver {
	return embedded.New(embedded.Options{StateDir: o.StateDir, Limit: o.LocalCacheLimit, Session: session, CacheMounts: o.CacheMounts})
}

func prune(ctx context.Context, stateDir string, keep state.Keep) (state.Collected, error) {
	return embedded.Prune(ctx, stateDir, keep)
}
