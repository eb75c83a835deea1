package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"slipway/engine/progress"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/util/archutil"
	"golang.org/x/sys/unix"
)

// taskInspect is the part of Inspect that is done in a worker process.
const taskInspect = "inspect"

// inside is what can be found out in a worker process only.
type inside struct {
	Snapshotter string
	Why         []string // not a better one
	Platforms   []string // whose programs run
}

func inspectInside(w *Worker) error {
	var dir string
	if err := w.Request(&dir); err != nil {
		return err
	}
	var in inside
	name, why := w.Isolation.Snapshotter(dir)
	in.Snapshotter = name
	for _, err := range why {
		in.Why = append(in.Why, err.Error())
	}
	for _, p := range archutil.SupportedPlatforms(true) {
		in.Platforms = append(in.Platforms, platforms.FormatAll(p))
	}
	return w.Answer(in)
}

// Inspect finds out what this machine can do for builds that have their state in
// stateDir, in the way in which builds do it: it starts a worker process.
func Inspect(ctx context.Context, stateDir string) (*Report, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	r := &Report{StateDir: stateDir}
	var in inside
	p, err := Start(ctx, nil, taskInspect, stateDir, &in)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		r.add(Check{Name: "isolation", Status: Missing, Affects: "all builds", Fix: err.Error()})
	default:
		if err := p.Close(ctx, time.Minute); err != nil {
			return nil, err
		}
		r.isolation(p.Isolation)
		r.snapshotter(in)
		r.emulation(in.Platforms)
	}
	r.runtime(ctx)
	r.disk(stateDir)
	r.git(ctx)
	if err := r.leftovers(stateDir); err != nil {
		return nil, err
	}
	r.Builds = !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == Missing })
	return r, nil
}

func (r *Report) add(c Check) { r.Checks = append(r.Checks, c) }

func (r *Report) isolation(i Isolation) {
	c := Check{Name: "isolation", Status: OK, Found: "own mounts and processes"}
	if i.UserNamespace {
		c.Found = "user namespace, own mounts and processes"
	}
	if !i.Processes {
		c.Status = Limited
		c.Found = strings.Replace(c.Found, " and processes", "", 1)
		c.Affects = "RUN, which sees your other processes and can end them"
		c.Fix = "this container hides parts of /proc, so that a new one cannot be mounted: in Docker run it with --security-opt systempaths=unconfined, in Kubernetes with procMount: Unmasked"
	}
	r.add(c)
	if !i.UserNamespace && i.Single == "" {
		return
	}
	n := 0
	for _, ids := range i.UIDs {
		n += ids.Count
	}
	c = Check{Name: "user ids", Status: OK, Found: fmt.Sprint(max(n, 1))}
	if i.Single != "" {
		c.Status, c.Affects, c.Fix = Missing, "RUN, and files of other users than root", i.Single
	}
	r.add(c)
}

func (r *Report) snapshotter(in inside) {
	c := Check{Name: "snapshotter", Status: OK, Found: in.Snapshotter}
	if len(in.Why) > 0 {
		c.Status, c.Affects, c.Fix = Limited, "speed", strings.Join(in.Why, "; ")
		if in.Snapshotter == Native {
			c.Affects = "speed, and disk space: each layer is a full copy of those below"
		}
	}
	r.add(c)
}

// emulation tells what RUNs for other platforms can count on.
func (r *Report) emulation(supported []string) {
	c := Check{Name: "platforms", Status: OK, Found: strings.Join(supported, ", ")}
	if !slices.ContainsFunc(supported, func(p string) bool { // older relatives run without emulation
		return !strings.HasPrefix(p, "linux/"+runtime.GOARCH) && p != "linux/386" && !strings.HasPrefix(p, "linux/arm/")
	}) {
		c.Status, c.Affects = Limited, "RUN for other platforms"
		c.Fix = "on Debian and Ubuntu, as root: apt-get install qemu-user-static"
	}
	r.add(c)
}

func (r *Report) runtime(ctx context.Context) {
	c := Check{Name: "OCI runtime", Status: Missing, Affects: "RUN"}
	path, err := Runtime()
	if err != nil {
		c.Fix = err.Error()
		r.add(c)
		return
	}
	version, seccomp, err := runtimeVersion(ctx, path)
	switch c.Found = version + " (" + path + ")"; {
	case err != nil:
		c.Found, c.Fix = path, fmt.Sprintf("%s --version: %v", path, err)
	case !seccomp:
		c.Fix = "it was built without seccomp, which every RUN is confined with: install your system's package of runc or crun"
	default:
		c.Status, c.Affects = OK, ""
	}
	r.add(c)
}

// littleDisk is less than the base images of a common project need, in bytes.
const littleDisk = 2 << 30

func (r *Report) disk(dir string) {
	c := Check{Name: "disk", Status: OK}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		c.Status, c.Affects, c.Fix = Missing, "all builds", fmt.Sprintf("%s: %v", dir, err)
		r.add(c)
		return
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		c.Status, c.Affects = Missing, "all builds"
		c.Fix = fmt.Sprintf("writing to %s: %v: make it writable for you, or put the state elsewhere with XDG_STATE_HOME", dir, err)
		r.add(c)
		return
	}
	free := int64(stat.Bavail) * stat.Bsize
	c.Found = progress.Size(free) + " free in " + dir
	if free < littleDisk {
		c.Status, c.Affects = Limited, "builds of large images"
		c.Fix = "make room, or put the state elsewhere with XDG_STATE_HOME"
	}
	r.add(c)
}

func (r *Report) git(ctx context.Context) {
	c := Check{Name: "git", Status: OK}
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if c.Found = strings.TrimSpace(string(out)); err != nil {
		c.Status, c.Affects = Missing, "everything that reads a project"
		c.Fix = fmt.Sprintf("%v: on Debian and Ubuntu apt-get install git", err)
	}
	r.add(c)
}

func (r *Report) leftovers(dir string) error {
	left, err := Leftovers(dir)
	if err != nil {
		return err
	}
	c := Check{Name: "leftovers", Status: OK, Found: "none"}
	if len(left) > 0 {
		c.Status, c.Found, c.Fix = Limited, strings.Join(left, ", "), "end the processes and unmount what is mounted, as root"
	}
	r.add(c)
	return nil
}

// Leftovers are what runs that have ended have left on the machine: mounts below
// stateDir, and worker processes. There should be none.
func Leftovers(stateDir string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(stateDir) // as the kernel lists mounts
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	// Field 5; blanks and backslashes are octal there (proc_pid_mountinfo(5)).
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var left []string
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
				left = append(left, "mount "+point)
			}
		}
	}
	workers, err := orphans()
	return append(left, workers...), err
}

// orphans are the worker processes that this user can see whose starter is gone.
func orphans() ([]string, error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		dir := filepath.Dir(name)
		line, err := os.ReadFile(name)
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if err != nil || args[0] != workerName || len(args) != 3 {
			continue // it has ended, or is something else
		}
		_, err1 := os.Readlink(filepath.Join(dir, "exe"))
		parent, err2 := parentOf(dir)
		if err := errors.Join(err1, err2); err != nil {
			continue // it has ended, or is another user's
		}
		// The executable may have been replaced since, or before.
		const replaced = " (deleted)"
		starter, err := os.Readlink(filepath.Join("/proc", parent, "exe"))
		if err != nil || strings.TrimSuffix(starter, replaced) != strings.TrimSuffix(args[2], replaced) {
			out = append(out, "process "+filepath.Base(dir))
		}
	}
	return out, nil
}

// parentOf is the id of the parent of the process with the directory dir of /proc.
func parentOf(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "status"))
	return statusField(string(content), "PPid"), err
}
