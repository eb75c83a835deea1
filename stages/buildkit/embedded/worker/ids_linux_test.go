package worker

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// State is kept for those who see its owners as they were, and emptied for others.
func TestOwnIDs(t *testing.T) {
	root := host.Isolation{}
	user := host.Isolation{UserNamespace: true, UIDs: []host.IDRange{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 100000, Count: 65536}}}
	other := host.Isolation{UserNamespace: true, UIDs: []host.IDRange{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 200000, Count: 65536}}}
	dir := t.TempDir()
	for i, step := range []struct {
		as   host.Isolation
		kept bool
	}{{root, true}, {root, true}, {user, false}, {user, true}, {other, false}, {other, true}, {root, false}, {root, true}} {
		store, err := state.Take(t.Context(), dir, state.Options{})
		check(t, err)
		stored := filepath.Join(store.Dir(), "stored")
		if i == 0 {
			check(t, os.WriteFile(stored, nil, 0o600))
		}
		check(t, ownIDs(store.Dir(), step.as))
		if _, err := os.Stat(stored); (err == nil) != step.kept {
			t.Errorf("step %d: %v, want kept %v", i, err, step.kept)
		}
		check(t, os.WriteFile(stored, nil, 0o600))
		check(t, store.Release())
	}
}
