package giterminism

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func everything(Change) bool { return true }

func inspect(t *testing.T, w Worktree) string {
	t.Helper()
	changes, err := Inspect(context.Background(), w, everything)
	must(t, err)
	return summary(changes)
}

func summary(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s\n", c.Kind, c.Path)
	}
	return b.String()
}

func TestInspect(t *testing.T) {
	base := content{
		"a": "1", "b": "2", "dir/c": "3", "dir/d": "4", "x": "x:run", "link": "->a",
		"имя\t\"q\" b": "5", ".gitignore": "*.log\n/out/\n", "tracked.log": "6",
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want string
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"modified", func(t *testing.T, dir string) { content{"a": "other"}.write(t, dir) }, "modified a\n"},
		{"same size and time", func(t *testing.T, dir string) {
			info, err := os.Stat(filepath.Join(dir, "a"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("9"), 0o644))
			must(t, os.Chtimes(filepath.Join(dir, "a"), info.ModTime(), info.ModTime()))
		}, "modified a\n"},
		{"touched only", func(t *testing.T, dir string) { content{"a": "1"}.write(t, dir) }, ""},
		{"staged only", func(t *testing.T, dir string) {
			content{"a": "other", "new": "1"}.write(t, dir)
			runGit(t, dir, "add", "a", "new")
		}, "staged a\nstaged new\n"},
		{"staged and taken back", func(t *testing.T, dir string) {
			content{"a": "other"}.write(t, dir)
			runGit(t, dir, "add", "a")
			content{"a": "1"}.write(t, dir)
		}, ""},
		{"staged and modified", func(t *testing.T, dir string) {
			content{"a": "other"}.write(t, dir)
			runGit(t, dir, "add", "a")
			content{"a": "again"}.write(t, dir)
		}, "modified a\n"},
		{"deleted", func(t *testing.T, dir string) { content{"a": "-", "dir": "-"}.write(t, dir) },
			"deleted a\ndeleted dir/c\ndeleted dir/d\n"},
		{"deletion staged", func(t *testing.T, dir string) { runGit(t, dir, "rm", "-q", "a") }, "deleted a\n"},
		{"out of the index only", func(t *testing.T, dir string) { runGit(t, dir, "rm", "-q", "--cached", "a") }, "staged a\n"},
		{"untracked", func(t *testing.T, dir string) { content{"new": "1", "n/e/w": "2", "dir/е": "3"}.write(t, dir) },
			"untracked dir/е\nuntracked n/e/w\nuntracked new\n"},
		{"intent to add", func(t *testing.T, dir string) {
			content{"new": "1"}.write(t, dir)
			runGit(t, dir, "add", "-N", "new")
		}, "untracked new\n"},
		{"ignored", func(t *testing.T, dir string) {
			content{"x.log": "1", "out/f": "2", "tracked.log": "other"}.write(t, dir)
		}, "modified tracked.log\n"},
		{"untracked files hidden by a setting", func(t *testing.T, dir string) {
			content{"new": "1"}.write(t, dir)
			runGit(t, dir, "config", "status.showUntrackedFiles", "no")
			runGit(t, dir, "config", "status.branch", "true")
			runGit(t, dir, "config", "status.relativePaths", "false")
			runGit(t, dir, "config", "core.quotePath", "false")
		}, "untracked new\n"},
		{"mode", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "a"), 0o755)) }, "modified a\n"},
		{"permissions that git does not keep", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "a"), 0o600)) }, ""},
		{"link to elsewhere", func(t *testing.T, dir string) { content{"link": "->b"}.write(t, dir) }, "modified link\n"},
		{"file for a link", func(t *testing.T, dir string) { content{"link": "a"}.write(t, dir) }, "modified link\n"},
		{"file for a directory", func(t *testing.T, dir string) { content{"dir": "a"}.write(t, dir) },
			"untracked dir\ndeleted dir/c\ndeleted dir/d\n"},
		{"renamed", func(t *testing.T, dir string) { runGit(t, dir, "mv", "a", "moved") }, "deleted a\nstaged moved\n"},
		{"odd name", func(t *testing.T, dir string) {
			content{"имя\t\"q\" b": "other", " lead": "1", "a -> b": "2"}.write(t, dir)
		},
			"untracked  lead\nuntracked a -> b\nmodified имя\t\"q\" b\n"},
		{"line ends", func(t *testing.T, dir string) {
			runGit(t, dir, "config", "core.autocrlf", "true")
			content{"lf": "1\n2\n", "win": "1\n2\n"}.write(t, dir)
			commitAll(t, dir)
			// What a checkout with this setting writes is no change.
			content{"lf": "1\r\n2\r\n", "win": "1\r\n3\r\n"}.write(t, dir)
		}, "modified win\n"},
		{"attributes", func(t *testing.T, dir string) {
			content{".gitattributes": "*.up filter=up\n", "f.up": "abc"}.write(t, dir)
			runGit(t, dir, "config", "filter.up.clean", "tr a-z A-Z")
			commitAll(t, dir)
			content{"f.up": "ABC"}.write(t, dir)
		}, ""},
		{"merge conflict", func(t *testing.T, dir string) {
			runGit(t, dir, "checkout", "-q", "-b", "other")
			content{"a": "theirs"}.write(t, dir)
			commitAll(t, dir)
			runGit(t, dir, "checkout", "-q", "main")
			content{"a": "ours"}.write(t, dir)
			commitAll(t, dir)
			if _, err := (Worktree{Dir: dir}).git(context.Background(), nil, "merge", "-q", "other"); err == nil {
				t.Fatal("no conflict")
			}
		}, "unmerged a\n"},
		{"repository within", func(t *testing.T, dir string) {
			content{"inner/f": "1"}.write(t, dir)
			runGit(t, filepath.Join(dir, "inner"), "init", "-q")
			commitAll(t, filepath.Join(dir, "inner"))
		}, "untracked inner\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := newRepo(t, base)
			tt.do(t, dir)
			before := fingerprint(t, dir)
			w, processes := traced(t, Worktree{Dir: dir})
			equal(t, "changes", inspect(t, w), tt.want)
			want := 1
			if strings.Contains(tt.want, "modified") || tt.name == "line ends" || tt.name == "staged and taken back" {
				want = 2 // to know what the file would be in a commit
			}
			if n := processes(); n > want {
				t.Errorf("%d processes, want at most %d", n, want)
			}
			equal(t, "the repository", fingerprint(t, dir), before)
		})
	}
}

func TestInspectPredicate(t *testing.T) {
	dir := newRepo(t, content{"a": "1", "b": "1", "c/d": "1"})
	content{"a": "2", "b": "2", "c/d": "2", "c/new": "2"}.write(t, dir)
	changes, err := Inspect(context.Background(), Worktree{Dir: dir}, func(c Change) bool { return c.Path != "a" && c.Path != "c/new" })
	must(t, err)
	equal(t, "changes", summary(changes), "modified b\nmodified c/d\n")
}

// The project may be a part of the repository, and git may be started above it.
func TestInspectProject(t *testing.T) {
	dir := newRepo(t, content{"p/q/a": "1", "p/q/d/b": "1", "p/q2/a": "1", "top": "1"})
	content{"p/q/a": "2", "p/q/d/new": "2", "p/q2/a": "2", "top": "2", "p/new": "1"}.write(t, dir)
	want := "modified a\nuntracked d/new\n"
	for _, w := range []Worktree{
		{Dir: filepath.Join(dir, "p/q")},
		{Dir: filepath.Join(dir, "p"), Project: "q"},
		{Dir: dir, Project: "p/q/"},
		{Dir: dir, Project: "./p/q"},
	} {
		equal(t, w.Dir+" "+w.Project, inspect(t, w), want)
	}
	other := filepath.Join(t.TempDir(), "linked")
	runGit(t, dir, "worktree", "add", "-q", other)
	equal(t, "linked work tree", inspect(t, Worktree{Dir: other}), "")
	content{"top": "3"}.write(t, other)
	equal(t, "linked work tree", inspect(t, Worktree{Dir: other}), "modified top\n")

	git := filepath.Join(t.TempDir(), "git")
	must(t, os.Rename(filepath.Join(dir, ".git"), git))
	w := Worktree{Dir: filepath.Join(dir, "p"), Project: "q", Env: []string{"GIT_DIR=" + git, "GIT_WORK_TREE=" + dir}}
	equal(t, "the repository elsewhere", inspect(t, w), want)
}

// Of a submodule only the commit is compared; its files are those of its own work
// tree.
func TestInspectSubmodule(t *testing.T) {
	inner := newRepo(t, content{"f": "1"})
	with := func(t *testing.T) string {
		dir := newRepo(t, content{"a": "1"})
		runGit(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "sub")
		commitAll(t, dir)
		runGit(t, dir, "config", "-f", ".gitmodules", "submodule.sub.ignore", "all")
		commitAll(t, dir)
		return dir
	}
	for _, tt := range []struct {
		name       string
		do         func(t *testing.T, dir string)
		want, deep string
	}{
		{"clean", func(t *testing.T, dir string) {}, "", ""},
		{"modified", func(t *testing.T, dir string) { content{"sub/f": "2"}.write(t, dir) }, "", "modified f\n"},
		{"untracked", func(t *testing.T, dir string) { content{"sub/new": "2"}.write(t, dir) }, "", "untracked new\n"},
		{"another commit", func(t *testing.T, dir string) { commitAll(t, filepath.Join(dir, "sub")) }, "submodule sub\n", ""},
		{"another commit in the index", func(t *testing.T, dir string) {
			commitAll(t, filepath.Join(dir, "sub"))
			runGit(t, dir, "add", "sub")
		}, "submodule sub\n", ""},
		{"work tree removed", func(t *testing.T, dir string) { content{"sub": "-"}.write(t, dir) }, "deleted sub\n", ""},
		{"removed", func(t *testing.T, dir string) { runGit(t, dir, "rm", "-q", "-f", "sub") }, "staged .gitmodules\ndeleted sub\n", ""},
		{"a file in its place", func(t *testing.T, dir string) { content{"sub": "file"}.write(t, dir) }, "submodule sub\n", ""},
		{"not checked out any more", func(t *testing.T, dir string) { runGit(t, dir, "submodule", "deinit", "-q", "sub") }, "", ""},
		{"another one", func(t *testing.T, dir string) {
			runGit(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "more")
		}, "staged .gitmodules\nstaged more\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := with(t)
			tt.do(t, dir)
			equal(t, "changes", inspect(t, Worktree{Dir: dir}), tt.want)
			if _, err := os.Stat(filepath.Join(dir, "sub/.git")); err == nil {
				t.Setenv("GIT_DIR", filepath.Join(dir, ".git"))
				equal(t, "in it", inspect(t, Worktree{Dir: filepath.Join(dir, "sub"), Environ: []string{"PATH=" + os.Getenv("PATH")}}), tt.deep)
			}
		})
	}
	clone := filepath.Join(t.TempDir(), "clone")
	runGit(t, filepath.Dir(clone), "clone", "-q", with(t), clone)
	equal(t, "never fetched", inspect(t, Worktree{Dir: clone}), "")
}

func TestInspectWithout(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "bare")
	runGit(t, filepath.Dir(bare), "clone", "-q", "--bare", newRepo(t, content{"a": "1"}), bare)
	equal(t, "bare", inspect(t, Worktree{Dir: bare}), "")

	_, err := Inspect(context.Background(), Worktree{Dir: t.TempDir()}, everything)
	if err == nil || !strings.Contains(err.Error(), "compare the work tree with the commit: git status: fatal: not a git repository") {
		t.Errorf("no repository: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(os.ErrDeadlineExceeded)
	if _, err := Inspect(ctx, Worktree{Dir: bare}, everything); err == nil || !strings.Contains(err.Error(), os.ErrDeadlineExceeded.Error()) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestParseStatus(t *testing.T) {
	const oids = "100644 100644 100644 1111 2222 "
	for _, line := range []string{"", "x", "1 .M N... 100644", "2 R. N... " + oids + "R100 new", `? "open`, "u UU N... 1 1 1 1 1 1", "?"} {
		if c, err := parseStatus(line); err == nil {
			t.Errorf("%q: %+v", line, c)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	w := Worktree{Dir: largeRepo(b)}
	for b.Loop() {
		if changes, err := Inspect(context.Background(), w, everything); err != nil || len(changes) > 0 {
			b.Fatal(changes, err)
		}
	}
}
