package host

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

// runtimes are the OCI runtimes to look for, the preferred one first.
var runtimes = []string{"runc", "crun"}

// ErrNoRuntime is returned for a build with a RUN on a machine without an OCI
// runtime.
var ErrNoRuntime = errors.New("no OCI runtime found: RUN instructions need runc or crun in PATH (on Debian and Ubuntu: apt-get install runc)")

// Runtime is the path of the OCI runtime.
func Runtime() (string, error) {
	for _, name := range runtimes {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoRuntime
}

// runtimeVersion is what a runtime says of itself, "runc version 1.1.5", and
// whether it can filter system calls, as every RUN asks of it.
func runtimeVersion(ctx context.Context, path string) (version string, seccomp bool, err error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", false, err
	}
	version, _, _ = strings.Cut(string(out), "\n")
	// runc has a line "libseccomp: 2.5.4", crun a word of its features.
	return version, strings.Contains(string(out), "libseccomp") || strings.Contains(string(out), "+SECCOMP"), nil
}
