package embedded

import (
	"os"
	"strings"
	"testing"
)

// When BuildKit's process is killed (for want of memory, say), the error says so.
func TestBuildKitDies(t *testing.T) {
	k := newKitchen(t)
	_, err := k.Solve(t.Context(), k.build(t, shell("true"), busybox(t)))
	check(t, err)
	worker, err := os.FindProcess(k.daemon.process.PID())
	check(t, err)
	check(t, worker.Kill())
	_, err = k.Solve(t.Context(), k.build(t, shell("echo again"), busybox(t)))
	if err == nil || !strings.Contains(err.Error(), "BuildKit's process has ended: signal: killed") {
		t.Errorf("got %v", err)
	}
	if err := k.Close(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("closing: %v", err)
	}
	k.daemon = nil
}
