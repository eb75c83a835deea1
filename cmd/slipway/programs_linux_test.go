package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/cmd/internal/release"
	"slipway/cmd/internal/testenv"
)

// heavy are packages that take half of the time in which this program starts, for
// what most commands never do.
var heavy = regexp.MustCompile(`^(k8s\.io/|sigs\.k8s\.io/(json|structured-merge-diff)|github\.com/santhosh-tekuri/jsonschema|helm\.sh/helm/v3/pkg/(engine|chartutil|releaseutil)|slipway/stages/(chart/render/engine|buildkit/embedded/worker)|github\.com/moby/buildkit/(control|executor/runcexecutor|solver/llbsolver|worker/base)$)`)

// The released program has in it nothing of what renders or of BuildKit's worker, what
// renders nothing of BuildKit, and BuildKit's process nothing that plans. "-e", as the
// packed programs are not there.
func TestProgramsAreKeptApart(t *testing.T) {
	t.Parallel()
	for program, forbidden := range map[string]*regexp.Regexp{
		"./":                  heavy,
		"../slipway-render":   regexp.MustCompile(`^(github\.com/(moby|containerd)/|slipway/(oci|engine|planner|cmd/internal)|google\.golang\.org/grpc)`),
		"../slipway-buildkit": regexp.MustCompile(`^(helm\.sh/|k8s\.io/|github\.com/Masterminds|slipway/(planner|cmd/internal|stages/(chart|bundle)))`),
	} {
		out, err := exec.Command("go", "list", "-deps", "-e", "-tags", "carried", program).Output()
		if err != nil {
			t.Fatal(err)
		}
		packages := strings.Fields(string(out))
		if len(packages) < 200 {
			t.Errorf("%s is said to be made of %v", program, packages)
		}
		for _, p := range packages {
			if forbidden.MatchString(p) {
				t.Errorf("%s has %s in it", program, p)
			}
		}
	}
}

// The program as it is released does what the one that a plain go build makes does,
// and leaves nothing on the machine.
func TestReleasedProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "slipway")
	if err := release.Build(t.Context(), release.Options{Output: path, Version: "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	released := func(t *testing.T) *testenv.CLI {
		cli := testenv.Slipway(t)
		cli.Path = path
		return cli
	}
	if got := released(t).Run(t.TempDir(), nil, "version").Must(t).Stdout; got != "v1.2.3\n" {
		t.Errorf("its version is %q", got)
	}
	t.Run("builds", func(t *testing.T) {
		tmp := t.TempDir()
		makesTheSameImage(t, released(t), "TMPDIR="+tmp)
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	})
	t.Run("a run", func(t *testing.T) { usageOfARun(t, released(t)) })
	t.Run("host check", func(t *testing.T) {
		if c := checks(t, released(t), nil, 0)["snapshotter"]; c.Status == "" || c.Status == "missing" {
			t.Errorf("the snapshotter is %+v", c)
		}
	})
	t.Run("renders", func(t *testing.T) { rendersAsPlain(t, released(t)) })
}

// rendersAsPlain checks that the released program renders as a plain one does, and
// leaves nothing.
func rendersAsPlain(t *testing.T, released *testenv.CLI) {
	t.Helper()
	plain := testenv.Slipway(t)
	project := testenv.GitRepo(t, renderApp)
	project.Write(".helm/values.schema.json", `{"properties": {"a": {"type": "string"}}}`)
	project.Commit("a schema")
	for name, args := range map[string][]string{
		"rendered":     {"render", "--stub-tags", "--validate", "--set", "b=7"},
		"a mistake":    {"render", "--stub-tags", "--set", "a=7"},
		"a schema":     {"bundle", "publish", "--repo", "127.0.0.1:1/x", "--tag", "1.0.0", "--set", "a=7"},
		"not rendered": {"plan"},
	} {
		tmp := t.TempDir()
		got, want := released.Run(project.Dir, []string{"TMPDIR=" + tmp}, args...), plain.Run(project.Dir, nil, args...)
		if got.Stdout != want.Stdout || got.Stderr != want.Stderr || got.Code != want.Code || got.Stdout+got.Stderr == "" {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
	endsWithItsStarter(t, plain)
	endsWithItsStarter(t, released)
}

// endsWithItsStarter checks that a process that renders without end is gone soon
// after the one that started it has been told to end, and when that was killed.
func endsWithItsStarter(t *testing.T, cli *testenv.CLI) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: c\nversion: 1.0.0\n",
		"templates/a": "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd := exec.CommandContext(t.Context(), cli.Path, "bundle", "render", "-b", dir)
		cmd.Env = cli.Env()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // so that it is at work
		pids := descendants(t, cmd.Process.Pid)
		if len(pids) != 1 {
			t.Errorf("%s has started %v", cli.Path, pids)
		}
		told := time.Now()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() //nolint:errcheck // it was told to fail
		for _, pid := range pids {
			for running(pid) && time.Since(told) < 10*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if took := time.Since(told); took > time.Second {
			t.Errorf("%v: all of %s has ended after %v", signal, cli.Path, took)
		}
	}
}
