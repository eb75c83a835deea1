package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func isError(err, target error) bool { return errors.Is(err, target) }

var project = files{
	"werf.yaml":      "project: p\n",
	"app/main.go":    "package main\n",
	"app/run":        "x:#!/bin/sh\n",
	"app/sub/deep":   "deep\n",
	"app.txt":        "text\n",
	"link":           "->app/main.go",
	"with space/é\n": "odd\n",
}

// TestPlaces opens the same project from every kind of place that git knows.
func TestPlaces(t *testing.T) {
	repo := newRepo(t, project)
	tests := map[string]func(t *testing.T) Options{
		"top": func(t *testing.T) Options { return Options{Dir: repo} },
		"detached HEAD": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "c")
			runGit(t, repo, "clone", "-q", repo, dir)
			runGit(t, dir, "checkout", "-q", "--detach")
			return Options{Dir: dir}
		},
		"linked worktree": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "w")
			runGit(t, repo, "worktree", "add", "-q", "--detach", dir)
			return Options{Dir: dir}
		},
		"shallow clone": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "c")
			runGit(t, repo, "clone", "-q", "--depth=1", "file://"+repo, dir)
			return Options{Dir: dir}
		},
		"separate git dir": func(t *testing.T) Options {
			dir := t.TempDir()
			runGit(t, repo, "clone", "-q", "--separate-git-dir="+filepath.Join(dir, "git"), repo, filepath.Join(dir, "c"))
			return Options{Dir: filepath.Join(dir, "c")}
		},
		"bare repository": func(t *testing.T) Options { return Options{Dir: bareClone(t, repo)} },
		"bare repository as the work tree": func(t *testing.T) Options {
			t.Chdir(t.TempDir())
			return Options{GitWorkTree: bareClone(t, repo)}
		},
		"bare repository in GIT_DIR": func(t *testing.T) Options {
			t.Setenv("GIT_DIR", bareClone(t, repo))
			t.Chdir(t.TempDir())
			return Options{}
		},
		"worktree of a bare repository": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "w")
			runGit(t, bareClone(t, repo), "worktree", "add", "-q", "--detach", dir)
			return Options{Dir: dir}
		},
		"nothing checked out": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "c")
			runGit(t, repo, "clone", "-q", "--no-checkout", repo, dir)
			return Options{Dir: dir}
		},
		"a link to it": func(t *testing.T) Options {
			link := filepath.Join(t.TempDir(), "l")
			must(t, os.Symlink(repo, link))
			return Options{Dir: link}
		},
		"current directory": func(t *testing.T) Options { t.Chdir(repo); return Options{} },
		"relative GIT_DIR and GIT_WORK_TREE": func(t *testing.T) Options {
			t.Chdir(filepath.Dir(repo))
			t.Setenv("GIT_DIR", filepath.Join(filepath.Base(repo), ".git"))
			t.Setenv("GIT_WORK_TREE", filepath.Base(repo))
			return Options{Dir: repo}
		},
		"GIT_DIR and a work tree by flag": func(t *testing.T) Options {
			t.Setenv("GIT_DIR", filepath.Join(repo, ".git"))
			return Options{GitWorkTree: t.TempDir()}
		},
		"changed work tree": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "c")
			runGit(t, repo, "clone", "-q", repo, dir)
			must(t, os.WriteFile(filepath.Join(dir, "app.txt"), []byte("changed"), 0o644))
			must(t, os.Remove(filepath.Join(dir, "werf.yaml")))
			runGit(t, dir, "add", "-A")
			return Options{Dir: dir}
		},
		"replaced object": func(t *testing.T) Options {
			dir := filepath.Join(t.TempDir(), "c")
			runGit(t, repo, "clone", "-q", repo, dir)
			runGit(t, dir, "replace", "HEAD:app.txt", "HEAD:werf.yaml")
			return Options{Dir: dir}
		},
	}
	want := listing(t, openSource(t, Options{Dir: repo}), ".")
	if len(want) != len(project)+3 {
		t.Fatalf("%d entries: %v", len(want), want)
	}
	for name, place := range tests {
		t.Run(name, func(t *testing.T) {
			s := openSource(t, place(t))
			equal(t, listing(t, s, "."), want)
			data, err := fs.ReadFile(s.FS(), "app.txt")
			if err != nil || string(data) != "text\n" {
				t.Errorf("app.txt: %q, %v", data, err)
			}
		})
	}
}

// TestSubdirectories opens a project below the top of the repository.
func TestSubdirectories(t *testing.T) {
	const odd = "it's \"odd\"\n*é dir"
	repo := newRepo(t, files{
		"top":                "",
		odd + "/a":           "1",
		odd + "/app/b":       "2",
		"other/app/b":        "3",
		"other/app/up":       "->../../top",
		"other/app/x/y":      "",
		"other/app-longer/z": "",
	})
	bare := bareClone(t, repo)
	elsewhere := t.TempDir()
	tests := []struct {
		name, cwd string
		env       string
		o         Options
		want      []string
	}{
		{"absolute", elsewhere, "", Options{Dir: filepath.Join(repo, "other/app")}, []string{"b", "up", "x", "x/y"}},
		{"relative", filepath.Join(repo, "other"), "", Options{Dir: "app"}, []string{"b", "up", "x", "x/y"}},
		{"current", filepath.Join(repo, odd), "", Options{}, []string{"a", "app", "app/b"}},
		{"odd name", elsewhere, "", Options{Dir: filepath.Join(repo, odd, "app")}, []string{"b"}},
		{"work tree given", elsewhere, "", Options{Dir: filepath.Join(repo, odd), GitWorkTree: repo}, []string{"a", "app", "app/b"}},
		{"work tree given, in it", filepath.Join(repo, odd, "app"), "", Options{GitWorkTree: repo}, []string{"b"}},
		{"work tree given, below the top", elsewhere, "",
			Options{Dir: filepath.Join(repo, "other/app/x"), GitWorkTree: filepath.Join(repo, "other")}, []string{"y"}},
		{"bare", elsewhere, "", Options{Dir: filepath.Join(bare, "other/app"), GitWorkTree: bare}, []string{"b", "up", "x", "x/y"}},
		{"GIT_DIR, as in a hook", repo, ".git", Options{Dir: odd}, []string{"a", "app", "app/b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(tt.cwd)
			if tt.env != "" {
				t.Setenv("GIT_DIR", tt.env)
			}
			equal(t, paths(listing(t, openSource(t, tt.o), "")), tt.want)
		})
	}
}

func TestOpenErrors(t *testing.T) {
	repo := newRepo(t, project)
	sub := filepath.Join(repo, "empty")
	must(t, os.Mkdir(sub, 0o755))
	plain := t.TempDir()
	tests := []struct {
		name   string
		o      Options
		env    [2]string
		target error
		words  []string
	}{
		{"no such directory", Options{Dir: filepath.Join(repo, "nowhere")}, [2]string{}, fs.ErrNotExist, []string{"nowhere", "--dir"}},
		{"a file", Options{Dir: filepath.Join(repo, "app.txt")}, [2]string{}, nil, []string{"app.txt", "not a directory"}},
		{"no such work tree", Options{GitWorkTree: filepath.Join(repo, "nowhere")}, [2]string{}, fs.ErrNotExist, []string{"nowhere", "--git-work-tree"}},
		{"no repository", Options{Dir: plain}, [2]string{}, ErrNotRepository, []string{plain, "git init", "--dir"}},
		{"bad GIT_DIR", Options{}, [2]string{"GIT_DIR", plain}, ErrNotRepository, nil},
		{"outside of the work tree", Options{Dir: plain, GitWorkTree: repo}, [2]string{}, errOutside, []string{"--git-work-tree"}},
		{"in the git directory", Options{Dir: filepath.Join(repo, ".git")}, [2]string{}, errOutside, nil},
		{"not committed", Options{Dir: sub}, [2]string{}, ErrNotCommitted, []string{`"empty"`}},
		{"no git", Options{Dir: repo}, [2]string{"PATH", plain}, ErrGitNotFound, []string{"apt-get install git"}},
		{"another owner", Options{Dir: repo}, [2]string{"GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"},
			ErrDubiousOwnership, []string{"git config --global --add safe.directory", repo}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env[0] != "" {
				t.Setenv(tt.env[0], tt.env[1])
			}
			_, err := Open(context.Background(), tt.o)
			wantError(t, err, tt.target, tt.words...)
		})
	}
	t.Run("no commit", func(t *testing.T) {
		dir := t.TempDir()
		runGit(t, dir, "init", "-q")
		_, err := Open(context.Background(), Options{Dir: dir})
		wantError(t, err, ErrNoCommit, dir, "git commit")
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := Open(ctx, Options{Dir: repo})
		wantError(t, err, context.Canceled)
	})
}

func TestSHA256(t *testing.T) {
	repo := newRepo(t, project, "--object-format=sha256")
	s := openSource(t, Options{Dir: repo})
	if len(s.CommitID()) != 64 {
		t.Errorf("commit %s", s.CommitID())
	}
	sameAsCheckout(t, openContext(t, s, "."), checkout(t, repo))
	must(t, os.WriteFile(filepath.Join(repo, "new"), []byte("text\n"), 0o644))
	c, err := openContext(t, s, ".").WithFiles(context.Background(), []string{"new"})
	must(t, err)
	equal(t, listContext(t, c)["new"].OID, listContext(t, c)["app.txt"].OID)
}

func TestCommit(t *testing.T) {
	repo := newRepo(t, project)
	s := openSource(t, Options{Dir: repo})
	before := s.Stats().Processes
	for range 2 {
		c, err := s.Commit(context.Background())
		must(t, err)
		equal(t, c, Commit{Hash: runGit(t, repo, "rev-parse", "HEAD"), Unix: 1700000001, Human: "2023-11-14 22:13:21 +0000 UTC"})
	}
	equal(t, s.Stats().Processes-before, 0)
	equal(t, s.CommitID(), runGit(t, repo, "rev-parse", "HEAD"))
}

// TestCommitStays shows that what was opened does not follow HEAD.
func TestCommitStays(t *testing.T) {
	repo := newRepo(t, project)
	s := openSource(t, Options{Dir: repo})
	must(t, os.WriteFile(filepath.Join(repo, "app.txt"), []byte("next"), 0o644))
	commitAll(t, repo)
	data, err := fs.ReadFile(s.FS(), "app.txt")
	must(t, err)
	equal(t, string(data), "text\n")
	if runGit(t, repo, "rev-parse", "HEAD") == s.CommitID() {
		t.Error("HEAD did not move")
	}
}

func bareClone(t testing.TB, repo string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bare.git")
	runGit(t, repo, "clone", "-q", "--bare", repo, dir)
	return dir
}

func TestMalformedTree(t *testing.T) {
	oid := strings.Repeat("\x01#Eg\x89", 4)
	for _, object := range []string{
		"100644 ../x\x00" + oid, "100644 a/x\x00" + oid, "100644 .\x00" + oid, "40000 ..\x00" + oid, "100644 \x00" + oid,
		"100644 x\x00" + oid[1:], "10064x x\x00" + oid, " x\x00" + oid, "100644 x", "100644x\x00" + oid, "junk",
		"100644 x\x00" + oid + "40000 x\x00" + oid,
	} {
		if _, err := parseTree(object, 40); err == nil {
			t.Errorf("%q: no error", object)
		}
	}
	entries, err := parseTree("040000 d\x00"+oid+"0100664 old\x00"+oid+"160000 sub\x00"+oid+"100775 x\x00"+oid+"100744 y\x00"+oid, 40)
	must(t, err)
	hex := strings.Repeat("0123456789", 4)
	equal(t, entries, []entry{{"d", fs.ModeDir | 0o755, hex}, {"old", 0o644, hex}, {"sub", gitlink, hex}, {"x", 0o755, hex}, {"y", 0o755, hex}})
}
