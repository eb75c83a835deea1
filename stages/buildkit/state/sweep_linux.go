package state

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sweep clears away what a process that was killed left in a slot and, of its
// containers, on the machine; what of those cannot be removed is told. Leases of
// what it was doing, and what only those kept, are BuildKit's own to clear away
// when it starts.
func sweep(path string, note func(text string)) error {
	if err := unmountBelow(path); err != nil {
		return err
	}
	for _, b := range glob(path, "runc-*/executor/*/config.json") {
		if err := removeContainer(filepath.Base(filepath.Dir(b))); err != nil {
			note(fmt.Sprintf("a killed run has left something: %v", err))
		}
	}
	for _, pattern := range []string{"runc-*/executor/*", "runc-*/content/ingest/*"} {
		for _, l := range glob(path, pattern) {
			if err := os.RemoveAll(l); err != nil {
				return fmt.Errorf("clearing away what a killed run left: %w", err)
			}
		}
	}
	return nil
}

// runtimeStates are where OCI runtimes note their containers.
func runtimeStates() []string {
	dirs := []string{"/run/runc", "/run/crun"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		dirs = append(dirs, filepath.Join(dir, "runc"), filepath.Join(dir, "crun"))
	}
	return dirs
}

// removeContainer removes what an OCI runtime keeps of a container.
func removeContainer(id string) error {
	// BuildKit's containers are in /buildkit/ID, of cgroup v2 or of each
	// controller of v1.
	for _, g := range append(glob("/sys/fs/cgroup", "buildkit/"+id), glob("/sys/fs/cgroup", "*/buildkit/"+id)...) {
		if err := removeGroup(g); err != nil {
			return err
		}
	}
	for _, dir := range runtimeStates() {
		if err := os.RemoveAll(filepath.Join(dir, id)); err != nil {
			return fmt.Errorf("removing its container: %w", err)
		}
	}
	return nil
}

// groupPatience is how long a killed process may take to be gone.
const groupPatience = 2 * time.Second

// removeGroup ends what runs in a cgroup and removes it, with those below it.
func removeGroup(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing its container: %w", err)
	}
	for _, dir := range slices.Backward(dirs) {
		for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			err := unix.Rmdir(dir)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Since(start) > groupPatience {
				return fmt.Errorf("removing the control group of its container: %w", &os.PathError{Op: "rmdir", Path: dir, Err: err})
			}
			killAll(dir)
		}
	}
	return nil
}

func killAll(group string) {
	processes, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(processes)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // it may be gone already
		}
	}
}

// unmountBelow unmounts what is mounted below dir, the latest first: an operation
// that was cut off leaves its snapshots mounted. Nobody uses them, since the
// caller has the slot.
func unmountBelow(dir string) error {
	points, err := mountPoints(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// mountPoints lists the mounts below dir in the order in which they were made
// (proc_pid_mountinfo(5), field 5; blanks and backslashes are octal there).
func mountPoints(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
				points = append(points, point)
			}
		}
	}
	return points, lines.Err()
}
