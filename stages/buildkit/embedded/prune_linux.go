package embedded

import (
	"context"
	"os"
	"path/filepath"

	"slipway/stages/buildkit/embedded/wire"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// Prune makes the state of builds below stateDir smaller. Slots that runs use are
// left alone. The program calls Main of package worker.
func Prune(ctx context.Context, program host.Program, stateDir string, keep state.Keep) (state.Collected, error) {
	var collected state.Collected
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return collected, err
	}
	if _, err := os.Stat(filepath.Join(dir, state.Slots)); os.IsNotExist(err) {
		return collected, nil
	}
	p, err := host.Start(ctx, program, wire.PruneTask, wire.Prune{StateDir: dir, Owner: os.Getpid(), Keep: keep}, &collected)
	if err != nil {
		return collected, err
	}
	return collected, p.Close(ctx, closePatience)
}
