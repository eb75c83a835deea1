package bench

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Between these lines of a document is what the program writes.
const (
	begin = "<!-- begin: %s -->\n"
	end   = "<!-- end: %s -->\n"
)

// Replace puts text between the markers of a name in a document, which must have
// them. It appears whole or not at all.
func Replace(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	from, to := fmt.Sprintf(begin, name), fmt.Sprintf(end, name)
	before, rest, ok := strings.Cut(string(old), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return fmt.Errorf("writing results: %s has no lines %q and %q", path, from, to)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(before+from+"\n"+strings.TrimSpace(text)+"\n\n"+to+after), 0o644); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return nil
}

// Header says on what and of what results are: the machine, without its name, and
// versions.
func Header(ctx context.Context, o Options, command string) (string, error) {
	var b strings.Builder
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", fmt.Errorf("describing the machine: %w", err)
	}
	memory, err := memory()
	if err != nil {
		return "", fmt.Errorf("describing the machine: %w", err)
	}
	fmt.Fprintf(&b, "- Machine: %d cores (%s), %s of memory, Linux %s (%s); BuildKit's state and the registry's on %s.\n",
		runtime.NumCPU(), processor(), size(memory), strings.TrimSpace(string(kernel)), runtime.GOARCH, filesystem(os.TempDir()))
	slipway, err := run(ctx, plainly(o.Slipway, "version"))
	if err != nil {
		return "", err
	}
	git, err := run(ctx, plainly("git", "version"))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "- Slipway %s, %s, %s; the registry is %s.\n", strings.TrimSpace(slipway), runtime.Version(), strings.TrimSpace(git),
		module("", "github.com/distribution/distribution/v3"))
	switch {
	case o.NoPeer != "":
		fmt.Fprintf(&b, "- Peers: none, %s.\n", o.NoPeer)
	case o.Buildx != "":
		fmt.Fprintf(&b, "- Peers: %s with %s; no attestations, no traces. werf is not measured.\n",
			module(o.Buildx, "github.com/docker/buildx"), module(o.Buildkitd, "github.com/moby/buildkit"))
	}
	fmt.Fprintf(&b, "- Command: `%s`.\n", command)
	return b.String(), nil
}

// plainly is a command that needs nothing of the environment.
func plainly(argv ...string) command {
	return command{argv: argv, env: append(baseEnv(), "HOME="+os.TempDir())}
}

// module is the name and version of a module in an executable, "" being this one.
func module(path, name string) string {
	short := strings.TrimSuffix(name, "/v3")
	short = short[strings.LastIndex(short, "/")+1:]
	if path == "" {
		path, _ = os.Executable() // else it cannot be read, which is said
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return short + " of unknown version"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == name {
			return short + " " + strings.TrimPrefix(m.Version, "v")
		}
	}
	return short + " of unknown version"
}

// memory is how much the machine has, in bytes.
func memory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text)) // "MemTotal: N kB" comes first
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/meminfo is empty")
	}
	kib, err := strconv.ParseInt(fields[1], 10, 64)
	return kib << 10, err
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not all architectures say it
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// filesystem is the type of the one that holds a directory (proc(5), mounts).
func filesystem(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	mounts, readErr := os.ReadFile("/proc/self/mounts")
	if err != nil || readErr != nil {
		return "an unknown file system"
	}
	kind, longest := "", -1
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		at := fields[1]
		if len(at) >= longest && (dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/")) {
			kind, longest = fields[2], len(at)
		}
	}
	return kind
}
