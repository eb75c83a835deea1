package testenv

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// hints says where each tool of the machine comes from.
var hints = map[string]string{
	"git":      "apt-get install git",
	"skopeo":   "apt-get install skopeo",
	"runc":     "apt-get install runc",
	"busybox":  "apt-get install busybox-static",
	"npm":      "install Node.js with npm (https://nodejs.org)",
	"apt-get":  "this needs Debian or a system made from it",
	"dpkg-deb": "apt-get install dpkg",
	"unshare":  "apt-get install util-linux",

	"qemu-aarch64-static": "apt-get install qemu-user-static",
}

// goTools are the modules of the tools that Go builds.
var goTools = map[string]string{"helm": ".", "crane": ".", "oras": ".ci/tools", "buildkitd": ".ci/tools", "buildctl": ".ci/tools"}

// Tool returns the path of a tool. helm and crane are the versions of go.mod, oras
// and BuildKit's those of .ci/tools/go.mod, built on first use into Go's build cache;
// the others are the machine's.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if module, ok := goTools[name]; ok {
		return goTool(t, name, module)
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	// Debian's runc is in a directory that is in root's PATH only.
	if path, err = exec.LookPath("/usr/sbin/" + name); err == nil {
		return path
	}
	hint := hints[name]
	if hint == "" {
		hint = "install it"
	}
	t.Fatalf("the test needs %s, which is not in PATH: %s, or run .ci/deps", name, hint)
	return ""
}

var built struct {
	sync.Mutex
	paths map[string]string
}

// once builds a program, if this process has not done that yet.
func once(name string, build func() (path string)) string {
	built.Lock()
	defer built.Unlock()
	if path := built.paths[name]; path != "" {
		return path
	}
	path := build()
	if built.paths == nil {
		built.paths = map[string]string{}
	}
	built.paths[name] = path
	return path
}

// goTool asks the go command for a tool of a go.mod. "-n" builds the tool and
// prints the path of the executable instead of running it.
func goTool(t testing.TB, name, module string) string {
	t.Helper()
	return once(name, func() string {
		return strings.TrimSpace(command(t, filepath.Join(moduleRoot(), module), nil, "go", "tool", "-n", name))
	})
}

// moduleRoot is found once, from the working directory: that of a test is its
// package's.
var moduleRoot = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "" // where the go command says what it lacks
})

// baseEnv is what every process here may know of the test's environment: where
// programs are, and where temporary files go. Everything else (WERF_*, GIT_*,
// CI variables, credentials) would make a test depend on who runs it.
func baseEnv() []string {
	env := []string{"LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "TMPDIR", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// CLI is the program on a machine of its own: with its own home, state, cache
// and Docker configuration. Two runs of one CLI share them, as on a runner that
// is kept; a second CLI is another machine.
type CLI struct {
	Path string // of the executable
	Home string // HOME, with the XDG directories under it

	t testing.TB
}

// StateDir is a directory for the program's state.
func StateDir(t testing.TB) string {
	t.Helper()
	return BuildDir(t)
}

// removeAll removes a directory in which builds have left files of their users.
func removeAll(dir string) error {
	if os.Geteuid() == 0 {
		return os.RemoveAll(dir)
	}
	// A user without privileges cannot, but as root of a user namespace.
	if out, err := exec.Command("unshare", append(userNamespaceArgs(), "rm", "-rf", dir)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// BuildDir is a directory like those of t.TempDir, for what RUNs write: their users
// are not the test's, which could not remove what they own.
func BuildDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("removing what builds left: %v", err)
		}
	})
	return dir
}

// userNamespaceArgs are arguments of unshare(1), by which a user without privileges
// is root, with the ids that the machine lends to that user.
func userNamespaceArgs() []string {
	if os.Geteuid() == 0 {
		return nil
	}
	return []string{"--user", "--map-auto", "--map-root-user"}
}

// Slipway builds the program, once per process, and returns it on a fresh
// machine that lasts as long as the test.
func Slipway(t testing.TB) *CLI {
	t.Helper()
	return &CLI{Path: program(t, "slipway", "./cmd/slipway"), Home: StateDir(t), t: t}
}

// program builds a program of this module, once per process, into the shared cache:
// a directory of this process would be left behind, as nothing runs when the last
// test has ended. Go links only when it finds another program there than it would
// make, and the new file takes the old one's name, so a process that runs the old one
// is not disturbed.
func program(t testing.TB, name, dir string) string {
	t.Helper()
	return once(name, func() string {
		root := sha256.Sum256([]byte(moduleRoot())) // each checkout has its own
		path := cachePath(t, filepath.Join("bin", fmt.Sprintf("%s-%x", name, root[:6])))
		defer lock(t, path)()
		tmp := path + ".new"
		_ = os.Remove(tmp)
		_ = os.Link(path, tmp) // there may be none yet
		env := append(os.Environ(), "CGO_ENABLED=0")
		command(t, moduleRoot(), env, "go", "build", "-ldflags=-w", "-o", tmp, dir)
		if err := os.Rename(tmp, path); err != nil {
			t.Fatalf("keeping the built program: %v", err)
		}
		return path
	})
}

// DockerConfig is the path of the machine's Docker configuration file.
func (c *CLI) DockerConfig() string { return filepath.Join(c.Home, ".docker", "config.json") }

// Run runs the program in dir with the arguments and, over its clean
// environment, env ("NAME=value").
func (c *CLI) Run(dir string, env []string, args ...string) Result {
	c.t.Helper()
	return c.RunContext(c.t.Context(), dir, env, args...)
}

// RunContext is Run with an end: when ctx is done, the program gets the signal
// of Ctrl-C, and 30 seconds to heed it.
func (c *CLI) RunContext(ctx context.Context, dir string, env []string, args ...string) Result {
	c.t.Helper()
	cmd := interruptible(ctx, c.Path, args...)
	cmd.Dir = dir
	cmd.Env = append(c.Env(), env...)
	r, err := run(cmd)
	if err != nil && ctx.Err() == nil {
		c.t.Fatalf("running %s: %v", c.Path, err)
	}
	return r
}

// Env is the clean environment of the program.
func (c *CLI) Env() []string {
	return append(baseEnv(),
		"HOME="+c.Home,
		"XDG_STATE_HOME="+filepath.Join(c.Home, "state"),
		"XDG_CACHE_HOME="+filepath.Join(c.Home, "cache"),
		"XDG_CONFIG_HOME="+filepath.Join(c.Home, "config"),
		"XDG_DATA_HOME="+filepath.Join(c.Home, "data"),
		"DOCKER_CONFIG="+filepath.Dir(c.DockerConfig()),
		"GIT_CONFIG_NOSYSTEM=1",
	)
}
