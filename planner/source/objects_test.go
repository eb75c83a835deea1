package source

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// manyFiles is n files in directories of a hundred.
func manyFiles(n int) files {
	f := files{}
	for i := range n {
		f[fmt.Sprintf("d%03d/f%02d", i/100, i%100)] = strings.Repeat("z", i)
	}
	return f
}

// TestCost is the contract: what planning and sending ask of git.
func TestCost(t *testing.T) {
	tree := manyFiles(1500)
	tree["l1"], tree["l2"], tree["l3"] = "->d000", "->d000", "->d001"
	repo := newRepo(t, tree)
	s := openSource(t, Options{Dir: repo})
	cost := func(what string, do func(), want Stats) {
		t.Helper()
		before := s.Stats()
		do()
		after := s.Stats()
		got := Stats{after.Processes - before.Processes, after.Objects - before.Objects, after.Sizes - before.Sizes}
		if got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	equal(t, s.Stats(), Stats{Processes: 2})
	c := openContext(t, s, ".")
	cost("listing without links", func() {
		list, err := c.Listing(context.Background(), []string{"l?"}, nil)
		must(t, err)
		equal(t, len(list.Entries), 1500+15)
	}, Stats{})
	cost("listing with links", func() { listContext(t, c) }, Stats{Objects: 2})
	cost("listing again", func() { listContext(t, c) }, Stats{})
	cost("reading files", func() {
		for i := range 50 {
			_, err := fs.ReadFile(s.FS(), fmt.Sprintf("d000/f%02d", i))
			must(t, err)
		}
	}, Stats{Objects: 50})
	cost("sizes of files that were read", func() {
		fi, err := fs.Stat(s.FS(), "d000/f07")
		must(t, err)
		equal(t, fi.Size(), 7)
	}, Stats{})
	walkInfo := func(f interface {
		Walk(context.Context, string, fs.WalkDirFunc) error
	}) {
		t.Helper()
		must(t, f.Walk(context.Background(), "/", func(p string, d fs.DirEntry, err error) error {
			must(t, err)
			fi, err := d.Info()
			must(t, err)
			if d.Type().IsRegular() && fi.Size() != int64(len(tree[p])) {
				t.Errorf("%s: size %d", p, fi.Size())
			}
			return nil
		}))
	}
	cost("sizes of what a filter keeps, and a little more", func() {
		f, err := c.Filter(nil, []string{"d001/f00"})
		must(t, err)
		walkInfo(f)
	}, Stats{Processes: 1, Sizes: 1 + ahead})
	cost("sizes of everything", func() { walkInfo(c) }, Stats{Sizes: 1500 - 50 - 1 - ahead})
	cost("sizes again", func() { walkInfo(openContext(t, s, ".")) }, Stats{})
}

func TestConcurrentUse(t *testing.T) {
	tree := manyFiles(300)
	tree["big"], tree["link"] = string(noise(maxBuffered+1)), "->d000/f11"
	repo := newRepo(t, tree)
	s := openSource(t, Options{Dir: repo})
	c := openContext(t, s, ".")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if n := len(walkAll(t, c, "/")); n != 302+3 {
				t.Errorf("%d entries", n)
			}
			data, err := fs.ReadFile(s.FS(), "link")
			if err != nil || string(data) != tree["d000/f11"] {
				t.Errorf("link: %q, %v", data, err)
			}
			if _, err := c.Listing(context.Background(), []string{"big"}, nil); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if _, err := s.Commit(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClose(t *testing.T) {
	repo := newRepo(t, files{"a": "1", "b": "2", "big": string(noise(maxBuffered * 2))})
	for name, end := range map[string]func(*Source, context.CancelFunc){
		"closed":    func(s *Source, _ context.CancelFunc) { must(t, s.Close()) },
		"cancelled": func(_ *Source, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s, err := Open(ctx, Options{Dir: repo})
			must(t, err)
			_, err = fs.ReadFile(s.FS(), "a")
			must(t, err)
			f, err := s.FS().Open("big")
			must(t, err)
			end(s, cancel)
			_, err = fs.ReadFile(s.FS(), "b")
			wantError(t, err, context.Canceled)
			wantError(t, sizeError(s, "b"), context.Canceled)
			must(t, f.Close())
			must(t, s.Close())
		})
	}
}

// sizeError is the error of a context's walk that wants to know a file's size.
// The project's FS does not ask for sizes before somebody wants them.
func sizeError(s *Source, name string) error {
	if _, err := fs.Stat(s.FS(), name); err != nil {
		return fmt.Errorf("stat needs the object: %w", err)
	}
	c, err := s.Context(".")
	if err != nil {
		return err
	}
	return c.Walk(context.Background(), name, func(_ string, d fs.DirEntry, _ error) error {
		_, err := d.Info()
		return err
	})
}

// TestMissingObjects reads a damaged repository: each missing object is an error
// where it is wanted, and nowhere else.
func TestMissingObjects(t *testing.T) {
	repo := newRepo(t, files{"a": "1", "b": "2", "c": "3", "l": "->somewhere"})
	removeObject(t, repo, "HEAD:b")
	removeObject(t, repo, "HEAD:l")
	s := openSource(t, Options{Dir: repo})
	c := openContext(t, s, ".")
	checkMissing(t, s, c)
	equal(t, s.Stats().Processes, 3) // it goes on with the same ones
}

func checkMissing(t *testing.T, s *Source, c *Context) {
	t.Helper()
	for range 2 {
		for _, name := range []string{"a", "c"} {
			_, err := fs.ReadFile(s.FS(), name)
			must(t, err)
			equal(t, len(walkAll(t, c, name)), 1)
		}
		_, err := fs.ReadFile(s.FS(), "b")
		wantError(t, err, ErrMissingObject, "b", "--filter")
		wantError(t, sizeError(s, "b"), ErrMissingObject)
		_, err = c.Listing(context.Background(), nil, nil)
		wantError(t, err, ErrMissingObject)
		if isError(err, fs.ErrNotExist) {
			t.Errorf("taken for a file that is not there: %v", err)
		}
		_, err = c.Listing(context.Background(), []string{"l"}, nil)
		must(t, err) // a listing needs no content
	}
}

// TestPartialClone reads a clone that lacks objects which git could fetch. It
// must not: planning needs no network.
func TestPartialClone(t *testing.T) {
	repo := newRepo(t, files{"a": "1", "b": "2", "c": "3", "l": "->somewhere", "d/x": "4"})
	runGit(t, repo, "config", "uploadpack.allowFilter", "true")
	runGit(t, repo, "config", "uploadpack.allowAnySHA1InWant", "true")
	clone := func(t *testing.T, filter string) string {
		dir := filepath.Join(t.TempDir(), "c")
		runGit(t, repo, "clone", "-q", "--no-checkout", "--filter="+filter, "file://"+repo, dir)
		return dir
	}
	t.Run("no blobs", func(t *testing.T) {
		dir := clone(t, "blob:none")
		runGit(t, dir, "cat-file", "-e", "HEAD:a") // fetches it
		runGit(t, dir, "cat-file", "-e", "HEAD:c")
		s := openSource(t, Options{Dir: dir})
		checkMissing(t, s, openContext(t, s, "."))
		// The way out that the error names.
		runGit(t, dir, "fetch", "-q", "--refetch", "--no-filter")
		_, err := fs.ReadFile(openSource(t, Options{Dir: dir}).FS(), "b")
		must(t, err)
	})
	t.Run("no trees", func(t *testing.T) {
		_, err := Open(context.Background(), Options{Dir: clone(t, "tree:0")})
		wantError(t, err, ErrMissingObject)
	})
}

// TestReadAhead reads files twice, of which git is asked once, and leaves all else
// to who reads it.
func TestReadAhead(t *testing.T) {
	big := string(noise(maxBuffered + 1))
	repo := newRepo(t, files{"a": "1", "b": "2", "same": "1", "big": big, "d/c": "3", "l": "->a", "gone": "4"})
	removeObject(t, repo, "HEAD:gone")
	s := openSource(t, Options{Dir: repo})
	names := []string{"a", "same", "gone", "none", "big", "l", "d", "d/c", "b"}
	s.ReadAhead(names)
	equal(t, s.Stats(), Stats{Processes: 2, Objects: 3})
	for name, want := range map[string]string{"a": "1", "b": "2", "d/c": "3", "big": big} {
		data, err := fs.ReadFile(s.FS(), name)
		must(t, err)
		equal(t, string(data) == want, true)
	}
	_, err := fs.ReadFile(s.FS(), "gone")
	wantError(t, err, ErrMissingObject, "gone")
	equal(t, s.Stats().Processes, 2)
	s.main.batch.cancel()
	<-s.main.batch.done
	s.ReadAhead(names) // git's death is told to the next reader, or to nobody
	s.ReadAhead(names)
	data, err := fs.ReadFile(s.FS(), "d/c")
	must(t, err)
	equal(t, string(data), "3")
}

// TestGitThatDies shows that a process which ends is replaced.
func TestGitThatDies(t *testing.T) {
	repo := newRepo(t, files{"a": "1", "b": "2"})
	s := openSource(t, Options{Dir: repo})
	_, err := fs.ReadFile(s.FS(), "a")
	must(t, err)
	s.main.batch.cancel()
	<-s.main.batch.done
	_, err = fs.ReadFile(s.FS(), "b")
	wantError(t, err, nil, "git cat-file")
	_, err = fs.ReadFile(s.FS(), "b")
	must(t, err)
}

// TestNoProcessIsLeft counts what runs after Close, by the pipes that are open.
func TestNoProcessIsLeft(t *testing.T) {
	repo := newRepo(t, manyFiles(10))
	fds := func() int {
		list, err := os.ReadDir("/dev/fd")
		must(t, err)
		return len(list)
	}
	before := fds()
	for range 5 {
		s := openSource(t, Options{Dir: repo})
		walkAll(t, openContext(t, s, "."), "/")
		if n := fds(); n <= before {
			t.Errorf("%d open files while git runs", n)
		}
		must(t, s.Close())
		equal(t, fds(), before)
	}
}

// BenchmarkPlan opens a repository of 50,000 files and lists a filtered context.
func BenchmarkPlan(b *testing.B) {
	dir := b.TempDir()
	runGit(b, dir, "init", "-q")
	oid := gitInput(b, dir, "content", "hash-object", "-w", "--stdin")
	var index strings.Builder
	for i := range 50000 {
		fmt.Fprintf(&index, "100644 %s 0\tdir%03d/sub%d/file-%d.go\n", oid, i/200, i%10, i)
	}
	gitInput(b, dir, index.String(), "update-index", "--index-info")
	runGit(b, dir, "commit", "-q", "-m", "x")
	for _, bench := range []struct {
		name             string
		excludes, follow []string
	}{
		{"all", nil, nil},
		{"dockerignore", []string{".git", "**/*.md", "node_modules", "!keep.md", "dir00?/sub1"}, nil},
		{"follow", []string{"node_modules"}, []string{"dir007", "dir008/*.go", "dir009/sub1/file-1.go"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := openSource(b, Options{Dir: dir})
			c := openContext(b, s, ".")
			for b.Loop() {
				_, err := c.Listing(context.Background(), bench.excludes, bench.follow)
				must(b, err)
			}
		})
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(context.Background(), Options{Dir: dir})
			must(b, err)
			must(b, s.Close())
		}
	})
	b.Run("sizes", func(b *testing.B) {
		for b.Loop() {
			s := openSource(b, Options{Dir: dir})
			must(b, openContext(b, s, ".").Walk(context.Background(), "/", func(_ string, d fs.DirEntry, _ error) error {
				_, err := d.Info()
				return err
			}))
		}
	})
}
