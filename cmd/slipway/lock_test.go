package main

import (
	"os"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// With a lock file a base that moves changes nothing until the file says so.
func TestLock(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	push := func(content string, change func(*v1.Config)) string {
		return registry.PushImage("library/base:1", testenv.TreeImage(t, nil, map[string]string{"base": content}, change)).String()
	}
	first := push("one", nil)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM base:1\nCOPY file /file\n",
		"file":       "file\n", "other": "other\n",
	})
	cli, mirror := testenv.Slipway(t), "--container-registry-mirror=http://"+registry.Host
	key := func() string { return planned(t, cli, repo, mirror).Images[0].Key }
	floating := key()

	r := cli.Run(repo.Dir, nil, "lock", mirror).Must(t)
	if want := "docker.io/library/base:1: nothing -> " + first + "\n"; r.Stdout != want {
		t.Errorf("lock says %q, want %q", r.Stdout, want)
	}
	repo.Commit("lock")
	locked := key()
	if locked == floating {
		t.Error("the digest did not enter the key")
	}
	cli.Run(repo.Dir, nil, "lock", "--check", mirror).Must(t)
	cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:one", mirror).Must(t)

	second := push("two", func(c *v1.Config) { c.OnBuild = []string{"COPY other /other"} })
	if key() != locked {
		t.Error("a base that moved changed a locked key")
	}
	if r := cli.Run(repo.Dir, nil, "lock", "--check", mirror); r.Code != 1 || !strings.Contains(r.Stdout, first+" -> "+second) {
		t.Errorf("lock --check: exit code %d, %q", r.Code, r.Stdout)
	}
	if r := cli.Run(repo.Dir, nil, "lock", mirror).Must(t); r.Stdout != "" {
		t.Errorf("lock without --update changed %q", r.Stdout)
	}
	// A machine that has never seen the old base still builds on it.
	repo.Write("file", "changed\n")
	repo.Commit("change")
	testenv.Slipway(t).Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:two", mirror).Must(t)
	one, two := layers(t, registry, "app:one"), layers(t, registry, "app:two")
	if one[0] != two[0] || len(two) != 2 {
		t.Errorf("the second build is not on the locked base: layers %v and %v", one, two)
	}

	// Recorded triggers are part of the key and of the build.
	cli.Run(repo.Dir, nil, "lock", "--update", "base:1", mirror).Must(t)
	repo.Commit("update")
	updated := key()
	repo.Write("other", "changed\n")
	repo.Commit("what only the trigger reads")
	if key() == updated || updated == locked {
		t.Error("the trigger's file is not in the key")
	}
	cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:three", mirror).Must(t)
	if n := len(layers(t, registry, "app:three")); n != 3 {
		t.Errorf("%d layers, want those of the base, the trigger and the COPY", n)
	}

	// A base that the file lacks.
	repo.Write("Dockerfile", "FROM base:2\n")
	repo.Commit("another base")
	if r := cli.Run(repo.Dir, nil, "plan", mirror); r.Code != 2 || !strings.Contains(r.Stderr, "docker.io/library/base:2 is not in werf.lock: run slipway lock") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	if err := os.WriteFile(repo.Path("werf.lock"), []byte("version: 9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	repo.Commit("a lock of the future")
	if r := cli.Run(repo.Dir, nil, "plan", mirror); r.Code != 2 || !strings.Contains(r.Stderr, "version 9") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

func layers(t *testing.T, registry *testenv.RegistryServer, ref string) []string {
	t.Helper()
	m, err := registry.Image(ref).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range m.Layers {
		out = append(out, l.Digest.String())
	}
	return out
}

// What a base's triggers want is locked with it: images that they copy from, and
// what those bring in turn.
func TestLockOfTriggers(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	push := func(ref, content string, triggers ...string) {
		registry.PushImage("library/"+ref, testenv.TreeImage(t, nil, map[string]string{content: content}, func(c *v1.Config) { c.OnBuild = triggers }))
	}
	push("tool:1", "tool")
	push("base:1", "base", "COPY --from=tool:1 /tool /tool", "COPY other /other")
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM base:1\n", "other": "other\n",
	})
	cli, mirror := testenv.Slipway(t), "--container-registry-mirror=http://"+registry.Host
	cli.Run(repo.Dir, nil, "lock", mirror).Must(t)
	text, err := os.ReadFile(repo.Path("werf.lock"))
	if err != nil || !strings.Contains(string(text), "docker.io/library/tool:1:\n") {
		t.Errorf("werf.lock: %v\n%s", err, text)
	}
	repo.Commit("lock")
	cli.Run(repo.Dir, nil, "lock", "--check", mirror).Must(t)
	if r := cli.Run(repo.Dir, nil, "lock", mirror).Must(t); r.Stdout != "" {
		t.Errorf("a second lock changes %s", r.Stdout)
	}
	cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:one", mirror).Must(t)
	if n := len(layers(t, registry, "app:one")); n != 3 {
		t.Errorf("%d layers, want the base's and those of two triggers", n)
	}
}
