package main

import (
	"os"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// --dev builds the work tree as it is, and touches nothing of the user's.
func TestDev(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM scratch\nCOPY src /src\n",
		"src/main":   "committed", "src/gone": "gone", "src/kept": "kept",
		".gitignore": "ignored\n",
	})
	cli := testenv.Slipway(t)
	repo.Write("src/main", "changed")
	repo.Write("src/new", "new")
	repo.Write("src/ignored", "ignored")
	repo.Write("src/kept", "changed, but left out")
	repo.Remove("src/gone")
	if r := cli.Run(repo.Dir, nil, "build"); r.Code != 2 || !strings.Contains(r.Stderr, "src/new") || !strings.Contains(r.Stderr, "--dev") {
		t.Errorf("without --dev: exit code %d\n%s", r.Code, r.Stderr)
	}
	index, err := os.ReadFile(repo.Path(".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"export", "--dev", "--dev-ignore", "src/kept", "--repo", registry.Host + "/app", "--tag", registry.Host + "/app:dev"}
	for range 2 { // the second time from what the first one kept
		cli.Run(repo.Dir, nil, args...).Must(t)
	}
	files := imageFiles(t, registry.Image("app:dev"))
	for name, want := range map[string]string{"src/main": "changed", "src/new": "new", "src/kept": "kept"} {
		if files[name].content != want {
			t.Errorf("%s is %q, want %q", name, files[name].content, want)
		}
	}
	if len(files) != 4 {
		t.Errorf("the image has %v", files)
	}
	if after, err := os.ReadFile(repo.Path(".git/index")); err != nil || string(after) != string(index) {
		t.Errorf("the index changed (%v)", err)
	}
	// Committed, it has the key that it had.
	dev := planned(t, cli, repo, "--dev").Images[0].Key
	repo.Commit("all of it")
	if planned(t, cli, repo).Images[0].Key != dev {
		t.Error("the commit of the same files has another key")
	}
}
