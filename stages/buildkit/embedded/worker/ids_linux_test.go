package worker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"slipway/stages/buildkit/state"
)

// State is kept for those who see its owners as they were, and emptied for others.
func TestOwnIDs(t *testing.T) {
	const root, user, other = "", "0 1000 1 1 100000 65536", "0 1000 1 1 200000 65536"
	dir := t.TempDir()
	for i, step := range []struct {
		as   string
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

// The ids of a namespace that somebody else has made are not the machine's.
func TestIDMaps(t *testing.T) {
	if os.Getenv("IN_USER_NAMESPACE") != "" {
		maps, err := idMaps()
		fmt.Print(maps, err)
		os.Exit(0)
	}
	outside, err := idMaps()
	check(t, err)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestIDMaps$")
	cmd.Env = append(os.Environ(), "IN_USER_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	inside, err := cmd.CombinedOutput()
	check(t, err)
	if want := fmt.Sprintf("0 %d 1\n0 %d 1<nil>", os.Getuid(), os.Getgid()); string(inside) != want || outside == string(inside) {
		t.Errorf("the maps are %q in a namespace of one id, want %q; outside %q", inside, want, outside)
	}
}
