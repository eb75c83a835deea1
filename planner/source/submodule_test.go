package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// addSubmodule adds a repository as a submodule and commits that.
func addSubmodule(t testing.TB, repo, inner, name string) {
	t.Helper()
	runGit(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, name)
	commitAll(t, repo)
}

func cloneOf(t testing.TB, repo string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	runGit(t, filepath.Dir(dir), slices.Concat([]string{"-c", "protocol.file.allow=always", "clone", "-q"}, args, []string{"file://" + repo, dir})...)
	return dir
}

// nested is a repository with a submodule that has one itself, and its files.
func nested(t testing.TB, initArgs ...string) (repo string, flat files) {
	t.Helper()
	deep := newRepo(t, files{"f": "deep", "l": "->f", "x": "x:9"}, initArgs...)
	inner := newRepo(t, files{"f": "inner", "d/g": "2"}, initArgs...)
	addSubmodule(t, inner, deep, "de ep/er")
	repo = newRepo(t, files{"a": "1", "vendor/z": "3", "in": "->vendor/mod/de ep", "vendor-x": "4"}, initArgs...)
	addSubmodule(t, repo, inner, "vendor/mod")
	runGit(t, repo, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init", "--recursive")
	return repo, files{"a": "1", "vendor/z": "3", "in": "->vendor/mod/de ep", "vendor-x": "4",
		"vendor/mod/f": "inner", "vendor/mod/d/g": "2",
		"vendor/mod/de ep/er/f": "deep", "vendor/mod/de ep/er/l": "->f", "vendor/mod/de ep/er/x": "x:9"}
}

// identities are what a listing puts into a key, without .gitmodules.
func identities(t testing.TB, c *Context, excludes, follow []string) (out []string) {
	t.Helper()
	list, err := c.Listing(context.Background(), excludes, follow)
	must(t, err)
	for _, e := range list.Entries {
		if filepath.Base(e.Path) != ".gitmodules" {
			out = append(out, string(e.AppendIdentity(nil)))
		}
	}
	return out
}

// The files of a submodule are those of the commit like any other: the same ones
// without a submodule have the same identities, and a walk is that of a checkout.
func TestSubmodule(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			repo, flat := nested(t, "--object-format="+format)
			s := openSource(t, Options{Dir: repo})
			c, plain := openContext(t, s, "."), openContext(t, openSource(t, Options{Dir: newRepo(t, flat, "--object-format="+format)}), ".")
			equal(t, identities(t, c, nil, nil), identities(t, plain, nil, nil))
			equal(t, identities(t, openContext(t, s, "vendor/mod"), nil, nil), identities(t, openContext(t, openSource(t, Options{Dir: filepath.Join(repo, "vendor/mod")}), "."), nil, nil))
			equal(t, identities(t, openContext(t, s, "in/er"), nil, nil), []string{`"f" 0644 ` + oidOf(t, repo, "deep"), `"l" 0777 link to "f"`, `"x" 0755 ` + oidOf(t, repo, "9")})

			dir := checkout(t, repo)
			runGit(t, repo, "submodule", "--quiet", "foreach", "--recursive", "git checkout-index -a --prefix=\""+dir+"/$displaypath/\"")
			sameAsCheckout(t, c, dir, "vendor", "vendor/mod", "vendor/mod/de ep/er", "vendor/mod/f", "vendor/mod/nope/x", "in")
			must(t, fstest.TestFS(s.FS(), "vendor/mod/f", "vendor/mod/d/g", "vendor/mod/de ep/er/x", "vendor/z"))
			data, err := fs.ReadFile(s.FS(), "in/er/l")
			must(t, err)
			equal(t, string(data), "deep")
		})
	}
}

func oidOf(t testing.TB, repo, content string) string {
	return gitInput(t, repo, content, "hash-object", "--stdin")
}

// A submodule costs nothing until something in it is read.
func TestSubmoduleCost(t *testing.T) {
	repo, _ := nested(t)
	for _, tt := range []struct {
		name    string
		do      func(s *Source) error
		more    int64 // than opening
		entered string
	}{
		{"a walk of all names beside it", func(s *Source) error { _, err := fs.ReadDir(s.FS(), "vendor"); return err }, 0, ""},
		{"whether it is there", func(s *Source) error { _, err := fs.Stat(s.FS(), "vendor/mod"); return err }, 0, ""},
		{"its names", func(s *Source) error { _, err := fs.ReadDir(s.FS(), "vendor/mod"); return err }, 1, "vendor/mod"},
		{"a file of it, twice", func(s *Source) error {
			_, err := fs.ReadFile(s.FS(), "vendor/mod/f")
			_, err2 := fs.ReadFile(s.FS(), "vendor/mod/f")
			return errors.Join(err, err2)
		}, 1, "vendor/mod"},
		{"two contexts", func(s *Source) error {
			for range 2 {
				c, err := s.Context("vendor")
				must(t, err)
				if _, err := c.Listing(context.Background(), nil, []string{"mod/f"}); err != nil {
					return err
				}
			}
			return nil
		}, 1, "vendor/mod"},
		{"the inner one", func(s *Source) error { _, err := fs.ReadFile(s.FS(), "vendor/mod/de ep/er/f"); return err }, 2, "vendor/mod vendor/mod/de ep/er"},
		{"not asked for", func(s *Source) error {
			_, err := openContext(t, s, ".").Listing(context.Background(), nil, []string{"v*/z", "vendor-*"})
			return err
		}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openSource(t, Options{Dir: repo})
			before := s.Stats()
			must(t, tt.do(s))
			equal(t, s.Stats().Processes-before.Processes, tt.more)
			var entered []string
			for _, sub := range s.Submodules() {
				entered = append(entered, sub.Path)
				equal(t, sub.Worktree.Dir, filepath.Join(repo, sub.Path))
			}
			equal(t, strings.Join(entered, " "), tt.entered)
		})
	}
}

// Wherever git has the submodule's commit, it is found; where it has it not, only
// what needs it fails.
func TestSubmodulePlaces(t *testing.T) {
	origin, _ := nested(t)
	update := func(dir string) {
		runGit(t, dir, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init", "--recursive")
	}
	unfetched := func(t *testing.T) string { return cloneOf(t, origin) }
	fetched := func(t *testing.T) string { return cloneOf(t, origin, "--recurse-submodules") }
	for _, tt := range []struct {
		name  string
		place func(t *testing.T) Options
		want  string // of the error; "" is none
	}{
		{"never fetched", func(t *testing.T) Options { return Options{Dir: unfetched(t)} }, "run `git submodule update --init vendor/mod`"},
		{"only the outer one", func(t *testing.T) Options {
			dir := unfetched(t)
			runGit(t, dir, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
			return Options{Dir: dir}
		}, "run `git -C vendor/mod submodule update --init 'de ep/er'`"},
		{"fetched", func(t *testing.T) Options { return Options{Dir: fetched(t)} }, ""},
		{"shallow", func(t *testing.T) Options {
			return Options{Dir: cloneOf(t, origin, "--recurse-submodules", "--shallow-submodules", "--depth=1")}
		}, ""},
		{"not checked out any more", func(t *testing.T) Options {
			dir := fetched(t)
			runGit(t, dir, "submodule", "deinit", "-q", "-f", "--all")
			return Options{Dir: dir}
		}, ""},
		{"work tree removed", func(t *testing.T) Options {
			dir := fetched(t)
			must(t, os.RemoveAll(filepath.Join(dir, "vendor")))
			return Options{Dir: dir}
		}, ""},
		{"at another commit", func(t *testing.T) Options {
			dir := fetched(t)
			content := files{"f": "other"}
			content.write(t, filepath.Join(dir, "vendor/mod"))
			commitAll(t, filepath.Join(dir, "vendor/mod"))
			return Options{Dir: dir}
		}, ""},
		{"linked work tree, fetched there", func(t *testing.T) Options {
			dir, linked := unfetched(t), filepath.Join(t.TempDir(), "linked")
			runGit(t, dir, "worktree", "add", "-q", linked)
			update(linked)
			must(t, os.RemoveAll(filepath.Join(linked, "vendor")))
			return Options{Dir: linked}
		}, ""},
		{"linked work tree, fetched in the first", func(t *testing.T) Options {
			dir, linked := fetched(t), filepath.Join(t.TempDir(), "linked")
			runGit(t, dir, "worktree", "add", "-q", linked)
			return Options{Dir: linked}
		}, ""},
		{"bare", func(t *testing.T) Options { return Options{Dir: bareClone(t, origin)} }, "a bare repository has no submodules"},
		{"repository in the work tree", func(t *testing.T) Options {
			dir := fetched(t)
			// As git made it before there was modules/, and as git add makes it.
			for _, name := range []string{"vendor/mod/de ep/er", "vendor/mod"} {
				git := gitDirOf(filepath.Join(dir, name))
				must(t, os.Remove(filepath.Join(dir, name, ".git")))
				must(t, os.Rename(git, filepath.Join(dir, name, ".git")))
				runGit(t, dir, "config", "-f", name+"/.git/config", "--unset", "core.worktree")
			}
			runGit(t, dir, "rm", "-q", "--cached", ".gitmodules")
			runGit(t, dir, "commit", "-q", "-m", "x")
			return Options{Dir: dir}
		}, ""},
		{"a project beside it", func(t *testing.T) Options { return Options{Dir: filepath.Join(fetched(t), "vendor")} }, ""},
		{"the repository elsewhere", func(t *testing.T) Options {
			dir, git := fetched(t), filepath.Join(t.TempDir(), "git")
			must(t, os.Rename(filepath.Join(dir, ".git"), git))
			t.Setenv("GIT_DIR", git)
			t.Setenv("GIT_INDEX_FILE", filepath.Join(git, "index")) // as in a hook
			return Options{Dir: dir, GitWorkTree: dir}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.place(t)
			s := openSource(t, o)
			prefix := "vendor/"
			if strings.HasSuffix(o.Dir, "vendor") {
				prefix = ""
			}
			// What is beside it never fails.
			_, err := fs.ReadFile(s.FS(), prefix+"z")
			must(t, err)
			equal(t, len(identities(t, openContext(t, s, "."), []string{prefix + "mod"}, nil)) > 0, true)

			data, err := fs.ReadFile(s.FS(), prefix+"mod/de ep/er/f")
			_, listErr := openContext(t, s, ".").Listing(context.Background(), nil, nil)
			if tt.want == "" {
				must(t, err)
				must(t, listErr)
				equal(t, string(data), "deep")
				return
			}
			for _, err := range []error{err, listErr} {
				wantError(t, err, ErrSubmodule, "mod", tt.want, ".dockerignore")
				if errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a filter would leave it out: %v", err)
				}
			}
		})
	}
}

// Which patterns need a submodule that is not fetched.
func TestSubmoduleFilter(t *testing.T) {
	repo := cloneOf(t, func() string { r, _ := nested(t); return r }())
	c := openContext(t, openSource(t, Options{Dir: repo}), ".")
	for _, tt := range []struct {
		name             string
		excludes, follow []string
		want             string // "!" is the error
	}{
		{"everything", nil, nil, "!"},
		{"ignored", []string{"vendor/mod"}, nil, ".gitmodules a in vendor vendor-x vendor/z"},
		{"parent ignored", []string{"vendor"}, nil, ".gitmodules a in vendor-x"},
		{"ignored but for a file", []string{"vendor", "!vendor/mod/f"}, nil, "!"},
		{"ignored but for a file elsewhere", []string{"vendor", "!vendor/z", "!other/**"}, nil, ".gitmodules a in vendor vendor-x vendor/z"},
		{"not asked for", nil, []string{"a"}, "a"},
		{"not asked for by a pattern", nil, []string{"v*/z", "?", "vendor/m"}, "a vendor vendor/z"},
		{"asked for by a pattern", nil, []string{"*/mod/*"}, "!"},
		{"asked for at any depth", nil, []string{"**/f"}, "!"},
		{"asked for", nil, []string{"vendor/mod"}, "!"},
		{"asked for with its parent", nil, []string{"/vendor"}, "!"},
		{"asked for a file in it", nil, []string{"/vendor/mod/f"}, "!"},
		{"asked for through a link", nil, []string{"in/er"}, "!"},
		{"ignored and asked for with its parent", []string{"vendor/mod"}, []string{"vendor"}, "vendor vendor/z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := c.Listing(context.Background(), tt.excludes, tt.follow)
			if tt.want == "!" {
				wantError(t, err, ErrSubmodule, "vendor/mod", "git submodule update --init vendor/mod")
				return
			}
			must(t, err)
			got := paths(list.Entries)
			slices.Sort(got)
			equal(t, strings.Join(got, " "), tt.want)
		})
	}
}

// TestMayKeep holds the guess to the filter: what it lets through of a directory
// must have been guessed.
func TestMayKeep(t *testing.T) {
	flat := files{"s/m/f": "1", "s/m/d/g.go": "2", "s/z": "3", "s/m/d/e/h": "4", "a": "5"}
	c := openContext(t, openSource(t, Options{Dir: newRepo(t, flat)}), ".")
	r := rand.New(rand.NewSource(1))
	parts := []string{"s", "m", "d", "f", "*", "**", "?", "g.go", "*.go", "[sm]", "x", "s**", "**m", "e"}
	patterns := func(bang bool) (out []string) {
		for range r.Intn(3) {
			var p []string
			for range 1 + r.Intn(4) {
				p = append(p, parts[r.Intn(len(parts))])
			}
			text := strings.Join(p, "/")
			if bang && r.Intn(2) == 0 {
				text = "!" + text
			}
			out = append(out, text)
		}
		return out
	}
	yes, no := 0, 0
	for range 3000 {
		excludes, follow := patterns(true), patterns(false)
		list, err := c.Listing(context.Background(), excludes, follow)
		must(t, err)
		includes, err := c.Follow(follow)
		must(t, err)
		kept := slices.ContainsFunc(list.Entries, func(e Entry) bool { return e.Path == "s/m" || inside(e.Path, "s/m") })
		guess := mayKeep("s/m", includes, excludes)
		if kept && !guess {
			t.Fatalf("excludes %q, follow %q: %v", excludes, follow, paths(list.Entries))
		}
		if guess {
			yes++
		} else {
			no++
		}
	}
	if yes < 300 || no < 300 {
		t.Errorf("%d times yes and %d times no: that shows nothing", yes, no)
	}
}

// What is in .gitmodules is not to be trusted.
func TestSubmoduleNames(t *testing.T) {
	inner := newRepo(t, files{"f": "1"})
	commit := runGit(t, inner, "rev-parse", "HEAD")
	for _, tt := range []struct{ name, gitmodules, place string }{
		{"leads out", "[submodule \"../../elsewhere\"]\n\tpath = sub\n", "elsewhere"},
		{"no such path", "[submodule \"x\"]\n\tpath = other\n", ".git/modules/x"},
		{"not a configuration", "[[[\n", ".git/modules/sub"},
		{"no .gitmodules", "", ".git/modules/sub"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepo(t, files{"a": "1"})
			if tt.gitmodules != "" {
				files{".gitmodules": tt.gitmodules}.write(t, repo)
				runGit(t, repo, "add", ".gitmodules")
			}
			runGit(t, repo, "update-index", "--add", "--cacheinfo", "160000,"+commit+",sub")
			runGit(t, repo, "commit", "-q", "-m", "x")
			runGit(t, repo, "clone", "-q", "--bare", inner, filepath.Join(repo, tt.place))
			_, err := fs.ReadDir(openSource(t, Options{Dir: repo}).FS(), "sub")
			wantError(t, err, ErrSubmodule, `"sub"`)
		})
	}
}

func TestSubmoduleOverlay(t *testing.T) {
	repo, _ := nested(t)
	files{"vendor/mod/f": "changed", "vendor/mod/new": "new", "vendor/mod/de ep/er/new": "new"}.write(t, repo)
	c := openContext(t, openSource(t, Options{Dir: repo}), "vendor")
	with, err := c.WithFiles(context.Background(), []string{"mod/f", "mod/new", "mod/de ep/er/new"})
	must(t, err)
	before := identities(t, c, nil, nil)
	after := identities(t, with, nil, nil)
	equal(t, len(after), len(before)+2)
	for _, name := range []string{"mod/f", "mod/new"} {
		if !slices.ContainsFunc(after, func(id string) bool {
			return strings.HasPrefix(id, fmt.Sprintf("%q ", name)) && !slices.Contains(before, id)
		}) {
			t.Errorf("%s is not of the work tree", name)
		}
	}
	runGit(t, repo, "submodule", "deinit", "-q", "-f", "--all")
	must(t, os.RemoveAll(filepath.Join(repo, ".git/modules")))
	files{"vendor/mod/new": "new"}.write(t, repo)
	_, err = openContext(t, openSource(t, Options{Dir: repo}), "vendor").WithFiles(context.Background(), []string{"mod/new"})
	wantError(t, err, ErrSubmodule)
}

// With a tree of the work tree, a submodule is read from its work tree, too.
func TestSubmoduleTree(t *testing.T) {
	repo, _ := nested(t)
	var asked []string
	tree := func(ctx context.Context, w Worktree, name string) (string, []string, error) {
		asked = append(asked, name)
		if name == "." || strings.HasSuffix(name, "er") {
			return runGit(t, w.Dir, "rev-parse", "HEAD^{tree}"), nil, nil
		}
		return "", nil, nil // its commit
	}
	files{"vendor/mod/f": "committed in it"}.write(t, repo)
	commitAll(t, filepath.Join(repo, "vendor/mod"))
	files{"f": "and deeper"}.write(t, filepath.Join(repo, "vendor/mod/de ep/er"))
	commitAll(t, filepath.Join(repo, "vendor/mod/de ep/er"))
	s := openSource(t, Options{Dir: repo, Tree: tree})
	for name, want := range map[string]string{"vendor/mod/f": "inner", "vendor/mod/de ep/er/f": "and deeper"} {
		data, err := fs.ReadFile(s.FS(), name)
		must(t, err)
		equal(t, string(data), want)
	}
	slices.Sort(asked)
	equal(t, asked, []string{".", "vendor/mod", "vendor/mod/de ep/er"})
}

func TestAliases(t *testing.T) {
	repo := newRepo(t, files{
		"real/f": "1", "l1": "->real", "dir/l2": "->../l1/f", "dangling": "->shared/new", "up": "->l1/../other", "never": "->real",
	})
	s := openSource(t, Options{Dir: repo})
	for _, name := range []string{"dir/l2", "dangling", "up"} {
		_, _ = fs.ReadFile(s.FS(), name)
	}
	_, err := s.Context("l1")
	must(t, err)
	for _, tt := range []struct{ path, names, through string }{
		{"real/f", "dir/l2 l1/f", ""},
		{"real/new", "l1/new", ""},
		{"l1", "", "l1"},
		{"dir/l2", "", "dir/l2"},
		{"shared/new", "dangling", ""},
		{"other", "up", ""},
		{"never", "", ""},
		{"realm", "", ""},
	} {
		names, through := s.Aliases(tt.path)
		equal(t, strings.Join(names, " "), tt.names)
		if through != tt.through && !(tt.path == "l1" && through != "") {
			t.Errorf("%s: through %q", tt.path, through)
		}
	}
}
