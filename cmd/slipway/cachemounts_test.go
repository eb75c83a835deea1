package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/cmd/internal/testenv"
)

// cachingProject has a RUN with cache mounts, which is run again for each n.
func cachingProject(t *testing.T, run string) (repo *testenv.Repo, set func(n int)) {
	repo = testenv.GitRepo(t, map[string]string{"Dockerfile": "FROM busybox\nARG N\nARG OTHER\n" + run})
	return repo, func(n int) {
		repo.Write("werf.yaml", fmt.Sprintf("project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\nargs: {N: \"%d\", OTHER: \"%d\"}\n", n, 1-n))
		repo.Commit("another")
	}
}

// What a RUN leaves in a cache mount is there for the next one where
// --cache-mounts says: in BuildKit's state, in a directory, or nowhere.
func TestCacheMounts(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo, set := cachingProject(t, `RUN --mount=type=cache,target=/c echo $N >>/c/runs && cat /c/runs >/runs && stat -c %u:%g:%a /c >>/runs
USER 1000
RUN --mount=type=cache,id=own,target=/o,uid=1000,gid=10,mode=0700 echo $N >>/o/runs && cat /o/runs && stat -c %u:%g:%a /o
RUN --mount=type=cache,from=busybox,source=/etc,target=/from cat /from/group
`)
	cli, dir := testenv.Slipway(t), filepath.Join(testenv.BuildDir(t), "caches")
	n := 0
	build := func(cli *testenv.CLI, where string) string {
		n++
		set(n)
		args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/out:v1", "--container-registry-mirror", "http://" + registry.Host}
		if where != "" {
			args = append(args, "--cache-mounts="+where)
		}
		said := cli.Run(repo.Dir, nil, args...).Must(t).Stderr
		if !strings.Contains(said, "  1000:10:700\n") || !strings.Contains(said, "nogroup") {
			t.Errorf("what is mounted is not as the Dockerfile says:\n%s", said)
		}
		runs := contentsOf(t, registry, "out:v1")["runs"]
		out, ok := strings.CutSuffix(runs, "0:0:755\n")
		if lines := "  " + strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n[build app]   ") + "\n"; !ok || !strings.Contains(said, lines) {
			t.Errorf("a RUN saw %q, and the one with the owner:\n%s", runs, said)
		}
		return strings.ReplaceAll(out, "\n", " ")
	}
	for _, step := range []struct {
		cli         *testenv.CLI
		where, want string
	}{
		{cli, "", "1 "},
		{cli, "local", "1 2 "},
		{testenv.Slipway(t), "", "3 "},
		{cli, dir, "4 "},
		{testenv.Slipway(t), dir, "4 5 "},
		{cli, "off", "6 "},
		{cli, "off", "7 "},
		{cli, dir, "4 5 8 "},
		{cli, "", "1 2 9 "},
	} {
		if got := build(step.cli, step.where); got != step.want {
			t.Errorf("with %q a RUN sees %q, want %q", step.where, got, step.want)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 || names[0].Name() != "%2Fc" || names[1].Name() != "own,uid=1000,gid=10,mode=0700" {
		t.Errorf("the directory has %v (%v)", names, err)
	}
	if left, err := os.ReadDir(filepath.Join(cli.Home, "state", "slipway", "buildkit", "0", "cache-mounts")); err == nil {
		t.Errorf("of what was nowhere is left %v", left)
	}
}

// Two runs at once, as on two machines with one volume: shared caches are seen by
// both, private ones by one, and locked ones by one after the other.
func TestCacheMountsAtOnce(t *testing.T) {
	t.Parallel()
	registry, dir := busyRegistry(t), t.TempDir()
	const run = `RUN --mount=type=cache,target=/s --mount=type=cache,target=/p,sharing=private \
    touch /s/$N /p/$N && until test -e /s/$OTHER; do sleep 0.1; done && test ! -e /p/$OTHER && \
    touch /s/done$N && until test -e /s/done$OTHER; do sleep 0.1; done
RUN --mount=type=cache,target=/l,sharing=locked --mount=type=cache,id=m,target=/m,sharing=locked mkdir /l/busy && sleep 1 && rmdir /l/busy
`
	var group sync.WaitGroup
	var said [2]testenv.Result
	for n := range said {
		repo, set := cachingProject(t, run)
		if n == 1 { // the other order, in which they could wait for each other
			repo.Write("Dockerfile", strings.Replace(fileOf(t, repo, "Dockerfile"), "--mount=type=cache,target=/l,sharing=locked --mount=type=cache,id=m,target=/m,sharing=locked",
				"--mount=type=cache,id=m,target=/m,sharing=locked --mount=type=cache,target=/l,sharing=locked", 1))
		}
		set(n)
		cli := testenv.Slipway(t)
		group.Go(func() {
			said[n] = cli.Run(repo.Dir, []string{"WERF_CACHE_MOUNTS=" + dir}, "build", "--repo", registry.Host+"/app", "--container-registry-mirror", "http://"+registry.Host)
		})
	}
	group.Wait()
	for _, r := range said {
		r.Must(t)
	}
	for _, want := range []string{"%2Fs/0/done0", "%2Fs/0/done1", "%2Fp/0", "%2Fp/1", "%2Fl/0", "m/0"} {
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "%2Fl/1")); err == nil {
		t.Error("a locked cache was not waited for")
	}
}
