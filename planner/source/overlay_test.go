package source

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWithFiles lays a work tree over a commit and compares the result to a
// commit of the same files, object ids included.
func TestWithFiles(t *testing.T) {
	committed := files{"ctx/a": "1", "ctx/same": "2", "ctx/d/x": "3", "ctx/d/keep": "4", "ctx/wasdir/f": "5", "ctx/wasfile": "6",
		"ctx/run": "x:7", "ctx/link": "->a", "top": "8"}
	onDisk := files{"ctx/a": "changed", "ctx/same": "2", "ctx/d/x": "x:33", "ctx/d/new": "n", "ctx/d/deep/er/é": "n2", "ctx/d/.git/config": "not this",
		"ctx/wasdir": "now a file", "ctx/wasfile/g": "now a directory", "ctx/run": "7", "ctx/link": "->d/x",
		"ctx/untracked": "never asked for", "ctx/exec/bin": "x:" + string(noise(maxBuffered+7))}
	paths := []string{"a", "same", "./d/", "wasdir", "wasfile/g", "run", "link", "exec/bin", "a"}
	want := files{"a": "changed", "same": "2", "d/x": "x:33", "d/keep": "4", "d/new": "n", "d/deep/er/é": "n2",
		"wasdir": "now a file", "wasfile/g": "now a directory", "run": "7", "link": "->d/x", "exec/bin": onDisk["ctx/exec/bin"]}

	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			repo := newRepo(t, committed, "--object-format="+format)
			must(t, os.RemoveAll(filepath.Join(repo, "ctx")))
			onDisk.write(t, repo)
			base := openContext(t, openSource(t, Options{Dir: repo}), "ctx")
			before := listContext(t, base)
			c, err := base.WithFiles(context.Background(), paths)
			must(t, err)

			wantRepo := newRepo(t, want, "--object-format="+format)
			sameAsCheckout(t, c, checkout(t, wantRepo), "d", "wasfile/g", "exec")
			wanted := listContext(t, openContext(t, openSource(t, Options{Dir: wantRepo}), "."))
			for p, e := range listContext(t, c) {
				if !e.Mode.IsDir() { // a directory's id is that of what was committed
					equal(t, e, wanted[p])
				}
			}
			equal(t, listContext(t, base), before)
			same, err := base.WithFiles(context.Background(), nil)
			must(t, err)
			equal(t, listContext(t, same), before)
		})
	}
}

func TestWithFilesOfEverything(t *testing.T) {
	repo := newRepo(t, files{"a": "1"})
	(files{"b/c": "2"}).write(t, repo)
	c, err := openContext(t, openSource(t, Options{Dir: repo}), ".").WithFiles(context.Background(), []string{"."})
	must(t, err)
	list, err := c.Listing(context.Background(), nil, nil)
	must(t, err)
	equal(t, paths(list.Entries), []string{"a", "b", "b/c"})
	list, err = c.Listing(context.Background(), []string{"b"}, nil)
	must(t, err)
	equal(t, paths(list.Entries), []string{"a"})
}

func TestWithFilesErrors(t *testing.T) {
	repo := newRepo(t, files{"p/a": "1", "top": "2"})
	(files{"p/inside": "->d", "p/d/f": "3", "p/outside": "->../..", "p/gone": "4"}).write(t, repo)
	s := openSource(t, Options{Dir: repo})
	c := openContext(t, s, "p")
	for name, want := range map[string]string{
		"nope": "create it", "d/nope": "create it", "nope/x": "create it", "../top": "outside", "..": "outside",
		filepath.Join(repo, "top"): "outside", "inside/f": "symbolic link", "outside/top": "symbolic link", "a/x": "",
	} {
		_, err := c.WithFiles(context.Background(), []string{"a", name})
		wantError(t, err, nil, want, `"`+name+`"`)
	}
	t.Run("bare", func(t *testing.T) {
		c := openContext(t, openSource(t, Options{Dir: bareClone(t, repo)}), "p")
		_, err := c.WithFiles(context.Background(), []string{"a"})
		wantError(t, err, nil, "bare")
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := c.WithFiles(ctx, []string{"a"})
		wantError(t, err, context.Canceled)
	})
	t.Run("context not in the work tree", func(t *testing.T) {
		must(t, os.Rename(filepath.Join(repo, "p"), filepath.Join(repo, "q")))
		_, err := c.WithFiles(context.Background(), []string{"a"})
		wantError(t, err, nil, "add files to the build context")
		must(t, os.Rename(filepath.Join(repo, "q"), filepath.Join(repo, "p")))
	})
}

// TestWorkTreeChanges shows that what is read is what was hashed, or an error
// which no walk of fsutil mistakes for a file that does not exist.
func TestWorkTreeChanges(t *testing.T) {
	repo := newRepo(t, files{"committed": ""})
	for name, change := range map[string]func(p string) error{
		"content":      func(p string) error { return os.WriteFile(p, []byte("22"), 0o644) },
		"shorter":      func(p string) error { return os.Truncate(p, 1) },
		"longer":       func(p string) error { return os.WriteFile(p, []byte("111"), 0o644) },
		"gone":         os.Remove,
		"a link":       func(p string) error { os.Remove(p); return os.Symlink("/etc/passwd", p) },
		"a link to it": func(p string) error { os.Rename(p, p+"~"); return os.Symlink("f~", p) },
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(repo, "f")
			must(t, os.RemoveAll(p))
			must(t, os.WriteFile(p, []byte("11"), 0o644))
			empty := filepath.Join(repo, "empty")
			must(t, os.WriteFile(empty, nil, 0o644))
			c, err := openContext(t, openSource(t, Options{Dir: repo}), ".").WithFiles(context.Background(), []string{"f", "empty"})
			must(t, err)
			must(t, change(p))
			f, err := c.Open("f")
			must(t, err)
			defer f.Close()
			data, err := io.ReadAll(f)
			if name == "a link to it" { // the same content: no harm done
				must(t, err)
				equal(t, string(data), "11")
				return
			}
			wantError(t, err, errChanged, "f")
			if isError(err, fs.ErrNotExist) {
				t.Errorf("taken for a file that is not there: %v", err)
			}
			// An object that the commit has is read from the commit.
			must(t, os.WriteFile(empty, []byte("no longer"), 0o644))
			for _, name := range []string{"empty", "committed"} {
				f, err := c.Open(name)
				must(t, err)
				defer f.Close()
				data, err := io.ReadAll(f)
				must(t, err)
				equal(t, len(data), 0)
			}
		})
	}
}
