package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// treeApp is a project whose image reads all that a git tree can hold, under
// names that are not plain.
func treeApp(t *testing.T, prefix string) *testenv.Repo {
	t.Helper()
	files := map[string]string{
		"werf.yaml":                "project: app\nconfigVersion: 1\n---\nimage: app\ncontext: im age\ndockerfile: docker/Dockerfile\n",
		"im age/docker/Dockerfile": "FROM scratch\nCOPY . /\n",
		"im age/plain":             "plain\n",
		"im age/мир/файл":          "ünïcode\n",
		"im age/two words":         "blank\n",
		"im age/run.sh":            "#!/bin/sh\n",
	}
	repo := testenv.GitRepo(t, map[string]string{"README": "outside\n"})
	for name, content := range files {
		repo.Write(prefix+name, content)
	}
	err := os.Symlink("../two words", repo.Path(prefix+"im age/мир/link"))
	if err == nil {
		err = os.Chmod(repo.Path(prefix+"im age/run.sh"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	repo.Commit("the project")
	return repo
}

// The commit decides: whatever kind of checkout it is in, and wherever that is,
// the key is the same, and so is the image.
func TestCheckouts(t *testing.T) {
	t.Parallel()
	origin := treeApp(t, "")
	nested := treeApp(t, "services/a b/")
	// History, so that a shallow clone is one.
	origin.Commit("nothing more")
	registry := testenv.Registry(t)
	want := planned(t, testenv.Slipway(t), origin).Images[0].Key

	place := func(parts ...string) string { return filepath.Join(append([]string{t.TempDir()}, parts...)...) }
	clone := func(dir string, args ...string) string {
		origin.Git(append(append([]string{"clone", "--quiet"}, args...), "file://"+origin.Dir, dir)...)
		return dir
	}
	worktree := place("linked tree")
	origin.Git("worktree", "add", "--quiet", "-b", "linked", worktree)
	detached := origin.Clone(place("detached"))
	detached.Git("checkout", "--quiet", "--detach")
	dirty := origin.Clone(place("dirty"))
	dirty.Write("beside", "no image reads this\n")
	packed := origin.Clone(place("packed"))
	packed.Git("gc", "--quiet")
	link := place("link")
	if err := os.Symlink(origin.Dir, link); err != nil {
		t.Fatal(err)
	}
	bare, empty := clone(place("bare.git"), "--bare"), t.TempDir()

	cases := []struct {
		name, dir string
		env, args []string
	}{
		{"blanks and UTF-8 in the path", clone(place("мои проекты", "a 'b' \"c\" $d")), nil, nil},
		{"shallow clone", clone(place("shallow"), "--depth", "1"), nil, nil},
		{"without a checkout", clone(place("empty"), "--no-checkout"), nil, nil},
		{"linked worktree", worktree, nil, nil},
		{"detached HEAD", detached.Dir, nil, nil},
		{"uncommitted changes in what is not read", dirty.Dir, nil, nil},
		{"packed objects", packed.Dir, nil, nil},
		{"through a symbolic link", link, nil, nil},
		{"another current directory", empty, nil, []string{"--dir", origin.Dir}},
		{"bare repository", bare, nil, nil},
		{"bare repository, GIT_DIR", empty, []string{"GIT_DIR=" + bare}, nil},
		{"GIT_DIR and GIT_WORK_TREE", empty, []string{"GIT_DIR=" + origin.Path(".git"), "GIT_WORK_TREE=" + origin.Dir}, []string{"--dir", origin.Dir}},
		{"project in a directory", filepath.Join(nested.Dir, "services/a b"), nil, nil},
		{"project in a directory, --dir", nested.Dir, nil, []string{"--dir", "services/a b"}},
		{"project in a directory, absolute --dir", empty, nil, []string{"--dir", filepath.Join(nested.Dir, "services/a b")}},
		{"project in a directory, variable", nested.Dir, []string{"WERF_DIR=services/a b"}, nil},
	}
	digests := make([]string, len(cases))
	t.Cleanup(func() { // when all have ended
		for i, d := range digests {
			if d == "" || d != digests[0] {
				t.Errorf("%s: the image is %q, elsewhere %s", cases[i].name, d, digests[0])
			}
		}
	})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cli := testenv.Slipway(t)
			plan := cli.Run(c.dir, c.env, append([]string{"plan", "--output", "json"}, c.args...)...).Must(t)
			if !strings.Contains(plan.Stdout, want) {
				t.Errorf("the key is not %s:\n%s", want, plan.Stdout)
			}
			// Each to a repository of its own, so that each builds.
			in := "build" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' {
					return r
				}
				return -1
			}, strings.ToLower(c.name))
			ref := registry.Host + "/" + in
			if r := cli.Run(c.dir, c.env, append([]string{"build", "--repo", ref}, c.args...)...).Must(t); r.Stdout != ref+":"+want+"\n" {
				t.Errorf("built %q", r.Stdout)
			}
			digests[i] = registry.Digest(in + ":" + want)
		})
	}
}
