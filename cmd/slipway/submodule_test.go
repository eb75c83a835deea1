package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// withSubmodule is a project that builds from a submodule, which has one itself.
func withSubmodule(t *testing.T) *testenv.Repo {
	t.Helper()
	add := func(repo, inner *testenv.Repo, path string) {
		repo.Git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", inner.Dir, path)
		repo.Commit("a submodule")
	}
	inner := testenv.GitRepo(t, map[string]string{"main": "main", "docs/readme": "read me"})
	add(inner, testenv.GitRepo(t, map[string]string{"deep": "deep", "large": strings.Repeat("large", 1<<20)}), "more")
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n---\nimage: other\ndockerfile: other.Dockerfile\n",
		"Dockerfile": "FROM scratch\nCOPY lib/main own lib/more /src/\n", "own": "own",
		"other.Dockerfile": "FROM scratch\nCOPY . /\n", "other.Dockerfile.dockerignore": "lib\n",
	})
	add(repo, inner, "lib")
	repo.Git("-c", "protocol.file.allow=always", "submodule", "update", "--quiet", "--init", "--recursive")
	return repo
}

// The files of submodules are in images as any others of the commit, and what a
// submodule costs is a contract, too.
func TestSubmodules(t *testing.T) {
	t.Parallel()
	registry, repo, cli := testenv.Registry(t), withSubmodule(t), testenv.Slipway(t)
	args := func(verb string, more ...string) []string {
		return append([]string{verb, "app", "--repo", registry.Host + "/app"}, more...)
	}
	cli.Run(repo.Dir, nil, args("export", "--tag", registry.Host+"/app:v1")...).Must(t)
	want := map[string]string{"src/main": "main", "src/own": "own", "src/deep": "deep", "src/large": strings.Repeat("large", 1<<20)}
	check := func(tag string) {
		t.Helper()
		files := imageFiles(t, registry.Image("app:"+tag))
		for name, content := range want {
			if files[name].content != content {
				t.Errorf("%s: %s is %.20q, want %.20q", tag, name, files[name].content, content)
			}
		}
	}
	check("v1")

	env, log := countedGit(t)
	cost := func(image string) int {
		_ = os.Remove(log)
		cli.Run(repo.Dir, []string{env}, "plan", image).Must(t)
		started, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(started), "\n")
	}
	if without, with := cost("other"), cost("app"); without > 4 || with > without+2*2 {
		t.Errorf("%d processes of git without submodules, %d with two: want two for each more", without, with)
	}

	repo.Write("lib/docs/readme", "nobody's business")
	cli.Run(repo.Dir, nil, args("build")...).Must(t)
	repo.Write("lib/more/deep", "changed")
	if r := cli.Run(repo.Dir, nil, args("build")...); r.Code != 2 || !strings.Contains(r.Stderr, "lib/more/deep") || !strings.Contains(r.Stderr, "in the submodule first") {
		t.Errorf("uncommitted in a submodule: exit code %d\n%s", r.Code, r.Stderr)
	}
	cli.Run(repo.Dir, nil, "build", "other", "--repo", registry.Host+"/app").Must(t)
	want["src/deep"] = "changed"
	cli.Run(repo.Dir, nil, args("export", "--dev", "--tag", registry.Host+"/app:dev")...).Must(t)
	check("dev")

	// A clone has them only when they are fetched.
	clone := repo.Clone(filepath.Join(t.TempDir(), "clone"))
	if r := cli.Run(clone.Dir, nil, args("build")...); r.Code == 0 || !strings.Contains(r.Stderr, "git submodule update --init lib") {
		t.Errorf("not fetched: exit code %d\n%s", r.Code, r.Stderr)
	}
	cli.Run(clone.Dir, nil, "build", "other", "--repo", registry.Host+"/app").Must(t)
}
