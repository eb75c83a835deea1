package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// checks runs "host check -o json" and gives the checks by name.
func checks(t *testing.T, cli *testenv.CLI, env []string, code int) map[string]struct{ Status, Found, Affects, Fix string } {
	t.Helper()
	r := cli.Run(t.TempDir(), env, "host", "check", "--output", "json")
	var report struct {
		Builds bool
		Checks []struct{ Name, Status, Found, Affects, Fix string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil || r.Code != code || report.Builds != (code == 0) {
		t.Fatalf("exit code %d, want %d; %v in\n%s%s", r.Code, code, err, r.Stdout, r.Stderr)
	}
	out := map[string]struct{ Status, Found, Affects, Fix string }{}
	for _, c := range report.Checks {
		out[c.Name] = struct{ Status, Found, Affects, Fix string }{c.Status, c.Found, c.Affects, c.Fix}
	}
	return out
}

func TestHostCheck(t *testing.T) {
	cli := testenv.Slipway(t)
	got := checks(t, cli, nil, 0)
	for name, want := range map[string]string{
		"isolation": "own mounts and processes", "snapshotter": "overlayfs", "platforms": "linux/", "OCI runtime": "runc version ",
		"disk": " free in " + cli.Home, "git": "git version ", "leftovers": "none",
	} {
		if c := got[name]; !strings.Contains(c.Found, want) || c.Status == "missing" || c.Status == "ok" && c.Affects+c.Fix != "" {
			t.Errorf("%s: %+v, want %q", name, c, want)
		}
	}
	for name, c := range checks(t, cli, []string{"PATH=" + gitOnly(t)}, 1) {
		if missing := name == "OCI runtime" || name == "user ids"; missing != (c.Status == "missing") {
			t.Errorf("with no other program than git, %s: %+v", name, c)
		}
	}
	r := cli.Run(t.TempDir(), []string{"PATH=" + t.TempDir()}, "host", "check")
	if r.Code != 1 || !strings.Contains(r.Stdout, "apt-get install git") || !strings.Contains(r.Stdout, "apt-get install runc") || !strings.Contains(r.Stderr, "cannot be built") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := cli.Run(t.TempDir(), nil, "host", "check", "--output", "xml"); r.Code != 2 || !strings.Contains(r.Stderr, "text or json") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// State that cannot be written is found before a build.
func TestHostCheckOfAReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	cli := testenv.Slipway(t)
	args := []string{"--mount", "sh", "-c", "mount -t tmpfs none $XDG_STATE_HOME && mkdir $XDG_STATE_HOME/slipway && mount -o remount,ro $XDG_STATE_HOME && exec " + cli.Path + " host check"}
	if os.Geteuid() != 0 {
		args = append([]string{"--user", "--map-auto", "--map-root-user"}, args...)
	}
	if err := os.MkdirAll(filepath.Join(cli.Home, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	shell := *cli
	shell.Path = testenv.Tool(t, "unshare")
	r := shell.Run(t.TempDir(), nil, args...)
	if r.Code != 1 || !strings.Contains(r.Stdout, "read-only file system: make it writable") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}
