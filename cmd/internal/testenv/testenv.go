// Package testenv gives end-to-end tests the world around Slipway: a real
// registry, base images made from Debian's packages, git repositories, the
// tools that users have (helm, crane, skopeo, runc) and the program itself.
//
// Every function takes the test it works for, cleans up after it, and fails it,
// with what to install, when something is absent: a test that is silently
// skipped proves nothing. Servers listen on loopback only.
//
// It must never know what Slipway does inside: it imports none of its packages,
// only runs its binary. It is imported by tests under cmd, and by nothing else.
package testenv

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// epoch is the time of everything that is made here: files in layers, commits.
// A fixed time keeps digests the same from run to run.
var epoch = time.Unix(1577836800, 0).UTC() // 2020-01-01

// Result is what a process left behind.
type Result struct {
	Stdout, Stderr string
	Code           int   // exit code; -1 when a signal ended it
	MaxRSS         int64 // bytes of memory that the process had at most; 0 if not known
}

// Must fails the test, with all that the process said, unless it exited with 0.
// It returns r, so that a call can be wrapped in it.
func (r Result) Must(t testing.TB) Result {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("exit code %d, want 0\nstdout:\n%s\nstderr:\n%s", r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// run runs cmd to its end. A process that ran and failed is a Result, not an
// error: an error means that it could not be run.
func run(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: -1}
	if cmd.ProcessState != nil {
		r.Code = cmd.ProcessState.ExitCode()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.MaxRSS = maxRSS(usage)
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return r, err
}

// maxRSS is in KiB everywhere but on macOS (getrusage(2)).
func maxRSS(usage *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

// command runs a tool of the test's own preparations, which has to succeed, and
// returns what it wrote to standard output.
func command(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if env != nil {
		cmd.Env = env
	}
	r, err := run(cmd)
	if err != nil || r.Code != 0 {
		t.Fatalf("%s %s: exit code %d, %v\n%s%s", name, strings.Join(args, " "), r.Code, err, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// cached returns the path NAME in the cache that all test processes of this
// user share, after make, given a path to make it at, has made it. Processes
// that want it at the same time wait for one of them, and what is half made is
// never seen: it gets its name when it is whole.
func cached(t testing.TB, name string, make func(path string)) string {
	t.Helper()
	path := cachePath(t, name)
	unlock := lock(t, path)
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".making-*")
	if err != nil {
		t.Fatalf("making a place for %s: %v", name, err)
	}
	defer os.RemoveAll(tmp)
	make(filepath.Join(tmp, "made"))
	if err := os.Rename(filepath.Join(tmp, "made"), path); err != nil {
		t.Fatalf("keeping %s: %v", name, err)
	}
	return path
}

func cachePath(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("finding the user's cache directory (set HOME or XDG_CACHE_HOME): %v", err)
	}
	path := filepath.Join(dir, "slipway-test", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("making the test cache: %v", err)
	}
	return path
}

// lock keeps other processes, and other tests of this one, from making path.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	l := flock.New(path + ".lock")
	if _, err := l.TryLockContext(t.Context(), 50*time.Millisecond); err != nil {
		t.Fatalf("locking %s: %v", path, err)
	}
	return func() { _ = l.Unlock() }
}

// interruptible makes cmd end as a user's Ctrl-C would end it, and be killed
// when it does not heed that.
func interruptible(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd
}
