package pipeline

import (
	"context"
	"path/filepath"

	"slipway/stages"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// HostUsage lists what the state directory holds, and where it is.
func HostUsage(ctx context.Context) (dir string, items []state.Item, err error) {
	if dir, err = StateDir(); err != nil {
		return "", nil, err
	}
	items, err = state.Usage(ctx, dir)
	return dir, items, err
}

// HostPrune makes what builds have left on this machine smaller. buildkit is as
// Options.BuildKit.
func HostPrune(ctx context.Context, buildkit host.Program, keep state.Keep) (state.Collected, error) {
	dir, err := StateDir()
	if err != nil {
		return state.Collected{}, err
	}
	if err := turns(dir).Sweep(); err != nil {
		return state.Collected{}, err
	}
	return prune(ctx, buildkit, dir, keep)
}

// turns are those of all runs that share a state directory.
func turns(stateDir string) *stages.Turns { return stages.NewTurns(filepath.Join(stateDir, "locks")) }
