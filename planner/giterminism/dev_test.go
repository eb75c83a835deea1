package giterminism

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fingerprint is everything in the repository's own directory: index, refs,
// HEAD, logs, objects.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(filepath.Join(dir, ".git"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		fmt.Fprintf(&b, "%s %x\n", p, sha256.Sum256(data))
		return err
	}))
	return b.String()
}

func devTree(t testing.TB, w Worktree, o DevOptions) *DevTree {
	t.Helper()
	tree, err := MakeDevTree(context.Background(), w, o)
	must(t, err)
	return tree
}

// added is the tree that git add makes in a copy of the whole directory.
func added(t testing.TB, dir string, pathspecs ...string) string {
	t.Helper()
	clone := t.TempDir()
	must(t, os.CopyFS(clone, os.DirFS(dir)))
	runGit(t, clone, append([]string{"-c", "core.safecrlf=false", "add", "-A", "--", ":/"}, pathspecs...)...)
	return runGit(t, clone, "write-tree")
}

// listing is the paths of a tree, read as planner/source would.
func listing(t testing.TB, dir string, tree *DevTree) string {
	t.Helper()
	return runGitEnv(t, dir, tree.Env, "ls-tree", "-r", "--name-only", tree.Tree)
}

func blob(t testing.TB, dir string, tree *DevTree, name string) string {
	t.Helper()
	return runGitEnv(t, dir, tree.Env, "cat-file", "blob", tree.Tree+":"+name)
}

func TestDevTree(t *testing.T) {
	base := content{
		"a": "1", "b": "2", "dir/c": "3", "dir/d": "4", "x": "x:run", "link": "->a",
		".gitignore": "*.log\n/out/\n", "tracked.log": "6",
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"nothing", func(*testing.T, string) {}},
		{"everything", func(t *testing.T, dir string) {
			content{
				"a": "other", "b": "-", "dir/d": "-", "dir/new": "n", "x": "run", "link": "->b",
				"x.log": "no", "out/f": "no", "tracked.log": "yes", "n/e/w": "x:new", "имя \"\n": "5",
			}.write(t, dir)
		}},
		{"all deleted", func(t *testing.T, dir string) {
			for name := range base {
				content{name: "-"}.write(t, dir)
			}
		}},
		{"staged", func(t *testing.T, dir string) {
			content{"a": "staged", "b": "staged", "new": "staged", "gone": "staged", "forced.log": "1"}.write(t, dir)
			runGit(t, dir, "add", "-f", "a", "b", "new", "gone", "forced.log")
			runGit(t, dir, "rm", "-q", "--cached", "dir/c")
			content{"b": "later", "gone": "-"}.write(t, dir)
		}},
		{"intent to add", func(t *testing.T, dir string) {
			content{"new": "1"}.write(t, dir)
			runGit(t, dir, "add", "-N", "new")
		}},
		{"file for a directory", func(t *testing.T, dir string) {
			content{"dir": "f", "a": "-"}.write(t, dir)
			content{"a/b": "d"}.write(t, dir)
		}},
		{"line ends and filters", func(t *testing.T, dir string) {
			runGit(t, dir, "config", "core.autocrlf", "true")
			runGit(t, dir, "config", "core.safecrlf", "true")
			runGit(t, dir, "config", "filter.up.clean", "tr a-z A-Z")
			content{".gitattributes": "*.up filter=up\n*.bin binary\n", "f.up": "abc", "w": "1\r\n", "z.bin": "1\r\n"}.write(t, dir)
		}},
		{"split index", func(t *testing.T, dir string) {
			runGit(t, dir, "update-index", "--split-index")
			content{"a": "other"}.write(t, dir)
		}},
		{"no index", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, ".git/index"))) }},
		{"sparse checkout", func(t *testing.T, dir string) {
			runGit(t, dir, "sparse-checkout", "set", "--no-cone", "/a", "/.gitignore")
			content{"a": "other"}.write(t, dir)
		}},
		{"index of version 4, with an untracked cache", func(t *testing.T, dir string) {
			runGit(t, dir, "update-index", "--index-version=4", "--untracked-cache")
			content{"n/e/w": "1"}.write(t, dir)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := newRepo(t, base)
			tt.do(t, dir)
			hook := filepath.Join(dir, ".git/hooks/post-index-change")
			must(t, os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+filepath.Join(dir, ".git/hooked")+"\n"), 0o755))
			before := fingerprint(t, dir)
			o := DevOptions{State: filepath.Join(t.TempDir(), "made", "for us")}
			first := devTree(t, Worktree{Dir: dir}, o)
			second := devTree(t, Worktree{Dir: dir}, o)
			equal(t, "the repository", fingerprint(t, dir), before)
			equal(t, "second tree", second.Tree, first.Tree)
			listing(t, dir, first)
			must(t, os.Remove(hook))
			if tt.name == "no index" {
				runGit(t, dir, "read-tree", "HEAD") // else tracked.log is ignored there
			}
			equal(t, "tree", first.Tree, added(t, dir))
		})
	}
}

// Every step is compared with what git makes of it, over one private index.
func TestDevTreeAgain(t *testing.T) {
	dir := newRepo(t, content{"a": "1", "b": "2", "p/c": "3"})
	o := DevOptions{State: t.TempDir()}
	step := func(name string, f content) {
		t.Helper()
		f.write(t, dir)
		got := devTree(t, Worktree{Dir: dir}, o)
		equal(t, name, got.Tree, added(t, dir))
		listing(t, dir, got)
	}
	step("first", content{"a": "x", "new": "y"})
	step("nothing", nil)
	step("same size at once", content{"a": "z"})
	step("again", content{"a": "y", "new": "-", "p/c": "-", "newer": "1"})
	step("back", content{"a": "1", "p/c": "3", "newer": "-"})
	content{"i.log": "1", ".gitignore": "*.log"}.write(t, dir)
	step("ignored", nil)
	runGit(t, dir, "add", "-f", "i.log")
	step("forced", nil)
	commitAll(t, dir)
	step("committed", nil)
	runGit(t, dir, "rm", "-q", "--cached", "i.log")
	step("forgotten", nil)
	runGit(t, dir, "stash", "-q")
	step("stashed", nil)
	runGit(t, dir, "checkout", "-q", "HEAD~1")
	step("another commit", nil)
	runGit(t, dir, "sparse-checkout", "set", "--no-cone", "/a")
	step("sparse", nil)
	runGit(t, dir, "sparse-checkout", "disable")
	step("whole", content{"b": "9"})

	indexes, err := filepath.Glob(filepath.Join(o.State, "*"))
	must(t, err)
	equal(t, "what is kept", len(indexes), 2) // one index and the objects
}

// The second run hashes nothing, so it does not miss the objects of the first.
func TestDevTreeReadsOnce(t *testing.T) {
	dir := newRepo(t, content{"a": "1"})
	o := DevOptions{State: t.TempDir()}
	w, processes := traced(t, Worktree{Dir: dir})
	content{"a": "2", "new": "3"}.write(t, dir)
	for _, name := range []string{"a", "new"} { // not of the moment in which the index is written
		old := time.Unix(1600000000, 0)
		must(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	first := devTree(t, w, o)
	equal(t, "processes", processes(), 3)
	for _, oid := range []string{"a", "new"} {
		oid = runGitEnv(t, dir, first.Env, "rev-parse", first.Tree+":"+oid)
		must(t, os.Remove(filepath.Join(o.State, "objects", oid[:2], oid[2:])))
	}
	equal(t, "second tree", devTree(t, w, o).Tree, first.Tree)
	equal(t, "processes", processes(), 6)
	for _, p := range []string{"a", "new"} {
		if _, err := (Worktree{Dir: dir}).git(context.Background(), first.Env, "cat-file", "-e", first.Tree+":"+p); err == nil {
			t.Errorf("%s was read again", p)
		}
	}
	// A new day begins with a new index, and objects that nobody wants go.
	kept := filepath.Join(o.State, "objects", first.Tree[:2], first.Tree[2:])
	stale := filepath.Join(o.State, "objects", "00", "stale")
	content{"objects/00/stale": "1", "work-2020-01-01-dead": "2", "work-2020-01-01-dead.lock": "2", "index-dead": "2", "objects/pack/p.pack": "3"}.write(t, o.State)
	for _, name := range []string{stale, kept, filepath.Join(o.State, "objects/pack/p.pack")} {
		old := time.Now().Add(-keepObjects - time.Hour)
		must(t, os.Chtimes(name, old, old))
	}
	o.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	again := devTree(t, w, o)
	equal(t, "the next day's tree", again.Tree, first.Tree)
	equal(t, "a", blob(t, dir, again, "a"), "2")
	left, err := filepath.Glob(filepath.Join(o.State, "*"))
	must(t, err)
	equal(t, "what is kept", len(left), 2)
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stale object: %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.State, "objects/pack/p.pack")); err != nil {
		t.Errorf("a pack: %v", err)
	}
}

func TestDevIgnore(t *testing.T) {
	dir := newRepo(t, content{"p/a": "1", "p/d/b": "1", "p/d/e/c": "1", "d/b": "1", "p/.gitignore": "ign\n"})
	content{"p/a": "2", "p/d/b": "2", "p/d/e/c": "-", "d/b": "2", "p/d/new": "2", "p/n.tmp": "2", "p/x/n.tmp": "2", "p/ign/f": "2", "p/staged": "2"}.write(t, dir)
	runGit(t, dir, "add", "p/staged", "p/d/b") // what is staged is ignored, too
	for _, tt := range []struct{ ignore, differs string }{
		{"", "d/b p/a p/d/b p/d/e/c p/d/new p/n.tmp p/staged p/x/n.tmp"},
		{"d", "d/b p/a p/n.tmp p/staged p/x/n.tmp"},
		{"/d/*", "d/b p/a p/n.tmp p/staged p/x/n.tmp"},
		{"*.tmp", "d/b p/a p/d/b p/d/e/c p/d/new p/staged p/x/n.tmp"},
		{"**/*.tmp", "d/b p/a p/d/b p/d/e/c p/d/new p/staged"},
		{"ign staged d/?", "d/b p/a p/d/new p/n.tmp p/x/n.tmp"},
		{"ign **", "d/b"},
	} {
		o := DevOptions{State: t.TempDir(), Ignore: strings.Fields(tt.ignore)}
		for _, w := range []Worktree{{Dir: filepath.Join(dir, "p")}, {Dir: dir, Project: "p"}} {
			tree := devTree(t, w, o)
			names := runGitEnv(t, dir, tree.Env, "diff-tree", "-r", "--name-only", "HEAD", tree.Tree)
			equal(t, tt.ignore, strings.ReplaceAll(names, "\n", " "), tt.differs)
		}
	}
	if _, err := MakeDevTree(context.Background(), Worktree{Dir: dir}, DevOptions{State: t.TempDir(), Ignore: []string{"a", ""}}); err == nil {
		t.Error("an empty pattern is no error")
	}
}

func TestDevTreePlaces(t *testing.T) {
	dir := newRepo(t, content{"p/a": "1", "top": "1"})
	other := filepath.Join(t.TempDir(), "lin:ked")
	runGit(t, dir, "worktree", "add", "-q", "-b", "linked", other)
	content{"p/a": "2"}.write(t, dir)
	content{"top": "3"}.write(t, other)
	states := t.TempDir()
	one := devTree(t, Worktree{Dir: filepath.Join(dir, "p")}, DevOptions{State: filepath.Join(states, "1")})
	two := devTree(t, Worktree{Dir: other}, DevOptions{State: filepath.Join(states, `2:"\`)})
	equal(t, "p/a", blob(t, dir, one, "p/a"), "2")
	equal(t, "top", blob(t, dir, one, "top"), "1")
	equal(t, "p/a", blob(t, other, two, "p/a"), "1")
	equal(t, "top", blob(t, other, two, "top"), "3")

	t.Chdir(dir)
	equal(t, "relative paths", devTree(t, Worktree{}, DevOptions{State: "../state of " + filepath.Base(dir)}).Tree, one.Tree)

	bare := filepath.Join(t.TempDir(), "bare")
	runGit(t, dir, "clone", "-q", "--bare", dir, bare)
	_, err := MakeDevTree(context.Background(), Worktree{Dir: bare}, DevOptions{State: t.TempDir()})
	if want := "--dev: the repository is bare and has no work tree\n" +
		"  clone the repository without --bare, or leave --dev out to read the commit"; err == nil || err.Error() != want {
		t.Errorf("bare: %v", err)
	}
}

func TestDevTreeConcurrently(t *testing.T) {
	dir := newRepo(t, content{"a": "1"})
	for i := range 50 {
		content{fmt.Sprintf("d/n%d", i): fmt.Sprint(i)}.write(t, dir)
	}
	want := added(t, dir)
	old := time.Unix(1600000000, 0) // the time of the copies, too
	must(t, os.Chtimes(filepath.Join(dir, ".git/index"), old, old))
	o := DevOptions{State: t.TempDir()}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tree, err := MakeDevTree(context.Background(), Worktree{Dir: dir}, o)
			if err != nil || tree.Tree != want {
				t.Errorf("%v, %v; want %s", tree, err, want)
			}
		})
	}
	wg.Wait()
}

// What a killed run, or a broken disk, left is no trouble.
func TestDevTreeAfterTrouble(t *testing.T) {
	dir := newRepo(t, content{"a": "1"})
	o := DevOptions{State: t.TempDir()}
	content{"new": "1"}.write(t, dir)
	want := devTree(t, Worktree{Dir: dir}, o).Tree
	kept, err := filepath.Glob(filepath.Join(o.State, "index-*"))
	must(t, err)
	equal(t, "indexes", len(kept), 1)
	good, err := os.ReadFile(kept[0])
	must(t, err)
	for name, do := range map[string]func(){
		"locks": func() {
			content{"work-1": "x", "work-1.lock": "x", filepath.Base(kept[0]) + ".lock": "x"}.write(t, o.State)
		},
		"empty":          func() { must(t, os.WriteFile(kept[0], nil, 0o600)) },
		"cut off":        func() { must(t, os.WriteFile(kept[0], good[:len(good)/2], 0o600)) },
		"bit flipped":    func() { bad := slices.Clone(good); bad[20] ^= 1; must(t, os.WriteFile(kept[0], bad, 0o600)) },
		"objects gone":   func() { must(t, os.RemoveAll(filepath.Join(o.State, "objects"))); must(t, os.Remove(kept[0])) },
		"everything":     func() { must(t, os.RemoveAll(o.State)) },
		"the user's own": func() { content{".git/index.lock": "x"}.write(t, dir) },
	} {
		do()
		equal(t, name, devTree(t, Worktree{Dir: dir}, o).Tree, want)
	}
	must(t, os.Remove(filepath.Join(dir, ".git/index.lock")))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := MakeDevTree(ctx, Worktree{Dir: dir}, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	content{"inner/f": "1"}.write(t, dir)
	runGit(t, filepath.Join(dir, "inner"), "init", "-q")
	_, err = MakeDevTree(context.Background(), Worktree{Dir: dir}, o)
	if err == nil || !strings.Contains(err.Error(), "'inner/' does not have a commit checked out") || !strings.Contains(err.Error(), "--dev-ignore") {
		t.Errorf("repository without a commit: %v", err)
	}
	o.Ignore = []string{"inner"}
	equal(t, "ignored", devTree(t, Worktree{Dir: dir}, o).Tree, want)
}

// A submodule is in the tree as the commit that is checked out there, and has a
// tree of its own.
func TestDevTreeSubmodule(t *testing.T) {
	inner := newRepo(t, content{"f": "1"})
	dir := newRepo(t, content{"p/a": "1"})
	for _, name := range []string{"p/sub", "other"} {
		runGit(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, name)
	}
	commitAll(t, dir)
	w, o := Worktree{Dir: filepath.Join(dir, "p")}, DevOptions{State: t.TempDir()}
	clean := devTree(t, w, o).Tree
	equal(t, "clean", clean, added(t, dir))
	content{"p/sub/f": "2", "p/sub/new": "2", "other/f": "2"}.write(t, dir)
	equal(t, "modified", devTree(t, w, o).Tree, clean)
	sub := Worktree{Dir: filepath.Join(dir, "p/sub")}
	own := devTree(t, sub, DevOptions{State: t.TempDir()}).Tree
	commitAll(t, sub.Dir)
	equal(t, "its own tree", own, runGit(t, sub.Dir, "rev-parse", "HEAD^{tree}"))
	equal(t, "committed in it", devTree(t, w, o).Tree, added(t, dir))
	equal(t, "ignored", devTree(t, w, DevOptions{State: o.State, Ignore: []string{"sub"}}).Tree, clean)

	clone := filepath.Join(t.TempDir(), "clone")
	runGit(t, filepath.Dir(clone), "clone", "-q", dir, clone)
	equal(t, "never fetched", devTree(t, Worktree{Dir: clone}, o).Tree, runGit(t, clone, "rev-parse", "HEAD^{tree}"))
}

func TestIgnoreWithin(t *testing.T) {
	for _, tt := range []struct{ glob, dir, want string }{
		{"sub", "sub", "all"}, {"./sub/", "sub", "all"}, {"s?b", "sub", "all"}, {"[!x]ub", "sub", "all"}, {"[", "sub", ""},
		{"a", "a/sub", "all"}, {"*/sub", "a/sub", "all"}, {"**", "a/sub", "all"}, {"**/sub", "a/sub", "all"}, {"**/sub", "sub", "all"},
		{"sub/f", "sub", "f"}, {"sub/*/f", "sub", "*/f"}, {"sub/**", "sub", "**"}, {"**/*.o", "a/sub", "**/*.o"},
		{"**/sub/x", "sub", "**/sub/x x"}, {"a/**/x", "a/sub", "**/x"}, {"a/**", "a/sub", "all"},
		{"other", "sub", ""}, {"sub-x", "sub", ""}, {"*", "a/sub", "all"}, {"b/*", "a/sub", ""}, {"x", ".", "x"},
	} {
		within, all := IgnoreWithin([]string{tt.glob}, tt.dir)
		got := strings.Join(within, " ")
		if all {
			got = "all"
		}
		equal(t, tt.glob+" in "+tt.dir, got, tt.want)
	}
}

// largeRepo has 50,000 files, all committed.
func largeRepo(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	runGit(b, dir, "init", "-q", "-b", "main")
	for i := range 50_000 {
		p := filepath.Join(dir, fmt.Sprintf("d%d/s%d/f%d.txt", i%20, i%500, i))
		if i < 500 {
			must(b, os.MkdirAll(filepath.Dir(p), 0o755))
		}
		must(b, os.WriteFile(p, []byte(strings.Repeat("x", i%3000)+p), 0o644))
	}
	commitAll(b, dir)
	return dir
}

func BenchmarkDevTree(b *testing.B) {
	dir := largeRepo(b)
	for i := range 100 {
		content{fmt.Sprintf("d%d/s%d/f%d.txt", i%20, i%500, i): "changed", fmt.Sprintf("new/%d", i): "new"}.write(b, dir)
	}
	b.Run("first", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			devTree(b, Worktree{Dir: dir}, DevOptions{State: filepath.Join(b.TempDir(), fmt.Sprint(i))})
		}
	})
	b.Run("second", func(b *testing.B) {
		o := DevOptions{State: b.TempDir()}
		devTree(b, Worktree{Dir: dir}, o)
		for b.Loop() {
			devTree(b, Worktree{Dir: dir}, o)
		}
	})
}
