package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// What builds leave stays within its limit, and can be seen and freed.
func TestHostUsageAndPrune(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("dd if=/dev/urandom of=/large bs=1M count=20"))
	cli, dir := testenv.Slipway(t), t.TempDir()
	host := func(args ...string) string {
		return cli.Run(dir, nil, append([]string{"host"}, args...)...).Must(t).Stdout
	}
	builds := func() (size int64) {
		for _, item := range usage(t, cli, "builds") {
			size += item.Size
		}
		return size
	}
	if out := host("prune"); out != "Freed 0 B, kept 0 B.\n" || strings.Contains(host("usage"), "builds") {
		t.Errorf("of nothing: %s", out)
	}
	build := func(place string, more ...string) testenv.Result {
		return cli.Run(repo.Dir, nil, append([]string{"build", "--repo", "oci:" + dir + "/" + place, "--container-registry-mirror", "http://" + registry.Host}, more...)...).Must(t)
	}
	build("first", "--local-cache-limit", "1GB")
	if size := builds(); size < 20<<20 {
		t.Errorf("the build has left %d bytes", size)
	}
	if out := host("usage"); !strings.Contains(out, "builds ") || !strings.Contains(out, "buildkit/0") || !strings.Contains(out, "total ") {
		t.Errorf("usage shows\n%s", out)
	}
	if out := host("prune", "--older-than", "1d"); !strings.HasPrefix(out, "Freed 0 B") {
		t.Errorf("what was just used is old: %s", out)
	}
	if r := build("second"); !strings.Contains(r.Stderr, "cached") {
		t.Errorf("nothing was kept:\n%s", r.Stderr)
	}
	if out := host("prune", "--keep", "10MB"); strings.HasPrefix(out, "Freed 0 B") || builds() > 10e6 {
		t.Errorf("%d bytes are kept: %s", builds(), out)
	}
	build("third", "--local-cache-limit", "10MB")
	if size := builds(); size > 10e6 {
		t.Errorf("with a limit of 10 MB the build has left %d bytes", size)
	}
	// A run that was killed while it removed layers has left what nobody knows.
	layers, err := filepath.Glob(filepath.Join(cli.Home, "state/slipway/buildkit/0/runc-*/snapshots/snapshots"))
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	orphan := filepath.Join(layers[0], "999999")
	err = errors.Join(os.Mkdir(orphan, 0o700), os.WriteFile(filepath.Join(cli.Home, "state/slipway/buildkit/0/in-use"), nil, 0o600))
	if host("prune"); err != nil || exists(orphan) {
		t.Errorf("what a killed run was removing is still there: %v", err)
	}
	if host("prune", "--all"); builds() != 0 {
		t.Errorf("%d bytes are left of all", builds())
	}
	build("third", "--require-built-images") // what was made is not the cache's
}

// A build that fails leaves none of the files of the step that failed.
func TestUsageAfterAFailure(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("dd if=/dev/zero of=/large bs=1M count=20 && false"))
	cli := testenv.Slipway(t)
	r := cli.Run(repo.Dir, nil, "build", "--container-registry-mirror", "http://"+registry.Host)
	if items := usage(t, cli, "builds"); r.Code != 1 || len(items) != 1 || items[0].Size > 10<<20 {
		t.Errorf("exit code %d, left are %+v", r.Code, items)
	}
}

// What a run uses is shown, and left alone.
func TestHostUsageOfARun(t *testing.T) {
	t.Parallel()
	usageOfARun(t, testenv.Slipway(t))
}

func usageOfARun(t *testing.T, cli *testenv.CLI) {
	t.Helper()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("wget -q -O - http://"+registry.Host+"/v2/wait; sleep 1000"))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan testenv.Result)
	go func() {
		ended <- cli.RunContext(ctx, repo.Dir, nil, "build", "app", "--container-registry-mirror", "http://"+registry.Host)
	}()
	for registry.Count(func(r testenv.Request) bool { return strings.HasPrefix(r.Path, "/v2/wait") }) == 0 { // the RUN runs
		time.Sleep(10 * time.Millisecond)
	}
	items := usage(t, cli, "builds")
	if len(items) != 1 || items[0].PID < 1 || !running(items[0].PID) {
		t.Errorf("shown are %+v", items)
	}
	for _, over := range leftovers(t, cli) {
		if strings.HasPrefix(over, "process ") {
			t.Errorf("the run that goes on has left %s", over)
		}
	}
	if out := cli.Run(repo.Dir, nil, "host", "prune", "--all").Must(t).Stdout; !strings.Contains(out, "Left alone") {
		t.Errorf("prune says: %s", out)
	}
	interrupt()
	if r := <-ended; r.Code != 1 {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stderr)
	}
	nothingHeld(t, cli)
	if items := usage(t, cli, "builds"); len(items) != 1 || items[0].PID != 0 {
		t.Errorf("after the run: %+v", items)
	}
}

func TestHostErrors(t *testing.T) {
	t.Parallel()
	cli := testenv.Slipway(t)
	for args, want := range map[string]string{
		"host prune --all --keep 1GB":      "--all keeps nothing",
		"host prune --all --older-than 1d": "--all keeps nothing",
		"host prune --keep much":           `--keep: "much" is no size`,
		"host prune --older-than 1w":       "--older-than 1w",
		"host prune --older-than -1h":      "--older-than -1h",
		"host prune something":             "something",
		"host usage -o yaml":               "--output yaml",
		"build --local-cache-limit 0":      `--local-cache-limit: "0" is no size`,
	} {
		if r := cli.Run(t.TempDir(), nil, strings.Fields(args)...); r.Code != 2 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: exit code %d, want 2 and %q:\n%s", args, r.Code, want, r.Stderr)
		}
	}
	r := cli.Run(t.TempDir(), []string{"WERF_LOCAL_CACHE_LIMIT=much"}, "host", "prune")
	if r.Code != 2 || !strings.Contains(r.Stderr, "local-cache-limit") {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stderr)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
