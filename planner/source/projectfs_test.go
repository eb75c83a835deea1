package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFS(t *testing.T) {
	big := string(noise(maxBuffered + 5))
	repo := newRepo(t, files{
		"a": "1", "a.b/c": "x:2", "a-b": "3", "ab/d/e": "", "big": big, "é \"q\"": "4", "link": "->ab/../a", "dirlink": "->ab",
	})
	s := openSource(t, Options{Dir: repo})
	must(t, fstest.TestFS(s.FS(), "a", "a.b/c", "a-b", "ab/d/e", "big", "é \"q\"", "link", "dirlink"))

	for name, want := range map[string]string{"a": "1", "big": big, "ab/d/e": "", "link": "1", "dirlink/d/e": ""} {
		data, err := fs.ReadFile(s.FS(), name)
		must(t, err)
		if !bytes.Equal(data, []byte(want)) {
			t.Errorf("%s: %d bytes, want %d", name, len(data), len(want))
		}
	}
	fi, err := fs.Stat(s.FS(), "a.b/c")
	must(t, err)
	if fi.Mode() != 0o755 || fi.Size() != 1 || !fi.ModTime().Equal(ModTime) || fi.ModTime().UTC().Format("2006-01-02T15:04:05Z") != "1980-01-02T00:00:00Z" {
		t.Errorf("a.b/c: %v", fs.FormatFileInfo(fi))
	}
}

func TestFSLinks(t *testing.T) {
	repo := newRepo(t, files{
		"out":             "secret",
		"p/a":             "1",
		"p/d/f":           "2",
		"p/file":          "->a",
		"p/dir":           "->d",
		"p/d/up":          "->../dir/../file",
		"p/chain":         "->d/up",
		"p/slash":         "->d/",
		"p/loop":          "->loop2",
		"p/loop2":         "->loop",
		"p/dangling":      "->nothing",
		"p/escape":        "->../out",
		"p/d/escape":      "->../../p/a",
		"p/absolute":      "->/etc/passwd",
		"p/through":       "->a/b",
		"p/d/self":        "->.",
		"p/d/selfcontain": "->self/self/f",
	})
	s := openSource(t, Options{Dir: repo + "/p"})
	for name, want := range map[string]string{
		"file": "1", "dir/f": "2", "d/up": "1", "chain": "1", "slash/f": "2", "d/self/self/f": "2", "d/selfcontain": "2",
	} {
		data, err := fs.ReadFile(s.FS(), name)
		must(t, err)
		equal(t, string(data), want)
	}
	for name, want := range map[string]error{
		"loop": errLinkLoop, "dangling": fs.ErrNotExist, "escape": ErrLinkEscapes, "d/escape": ErrLinkEscapes,
		"absolute": ErrLinkEscapes, "through": fs.ErrNotExist, "nope": fs.ErrNotExist, "a/b": fs.ErrNotExist,
		"../out": fs.ErrInvalid, "/a": fs.ErrInvalid, "": fs.ErrInvalid, "a/": fs.ErrInvalid,
	} {
		_, err := fs.ReadFile(s.FS(), name)
		var pe *fs.PathError
		if !errors.Is(err, want) || !errors.As(err, &pe) || pe.Path != name {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if _, err := fs.Stat(s.FS(), name); !errors.Is(err, want) {
			t.Errorf("stat %s: error %v, want %v", name, err, want)
		}
	}
	// Stat follows, Lstat does not, and a link's target is readable even where
	// it cannot be followed.
	fi, err := fs.Stat(s.FS(), "dir")
	must(t, err)
	equal(t, fi.Mode(), fs.ModeDir|0o755)
	fi, err = fs.Lstat(s.FS(), "dir")
	must(t, err)
	equal(t, fi.Mode(), fs.ModeSymlink|0o777)
	target, err := fs.ReadLink(s.FS(), "absolute")
	must(t, err)
	equal(t, target, "/etc/passwd")
	if _, err := fs.ReadLink(s.FS(), "a"); !errors.Is(err, errNotLink) {
		t.Errorf("readlink of a file: %v", err)
	}
	entries, err := fs.ReadDir(s.FS(), "dir")
	must(t, err)
	equal(t, len(entries), 5)
	if _, err := fs.ReadDir(s.FS(), "file"); !errors.Is(err, errNotDir) {
		t.Errorf("readdir of a file: %v", err)
	}
}

// TestBigFilesAtOnce holds several large files open while small ones are read,
// in an order that a shared process could not serve.
func TestBigFilesAtOnce(t *testing.T) {
	big := noise(3*maxBuffered + 1)
	repo := newRepo(t, files{"big": string(big), "big2": string(big[1:]), "small": "s"})
	s := openSource(t, Options{Dir: repo})
	var open []io.ReadCloser
	for _, name := range []string{"big", "big2", "big"} {
		f, err := s.FS().Open(name)
		must(t, err)
		first := make([]byte, 1)
		_, err = io.ReadFull(f, first)
		must(t, err)
		open = append(open, f)
		data, err := fs.ReadFile(s.FS(), "small")
		must(t, err)
		equal(t, string(data), "s")
	}
	for i, skip := range []int{1, 2, 1} {
		rest, err := io.ReadAll(open[i])
		must(t, err)
		if !bytes.Equal(rest, big[skip:]) {
			t.Errorf("file %d differs", i)
		}
		must(t, open[i].Close())
	}
	// One process for each that was open, and one of them is used again.
	before := s.Stats()
	equal(t, before.Processes, 1+4)
	for range 3 {
		data, err := fs.ReadFile(s.FS(), "big")
		must(t, err)
		equal(t, len(data), len(big))
	}
	equal(t, s.Stats().Processes, before.Processes)

	f, err := s.FS().Open("big") // closed unread: the process cannot be used again
	must(t, err)
	must(t, f.Close())
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("read after close")
	}
	_, err = fs.ReadFile(s.FS(), "small")
	must(t, err)
	equal(t, s.Stats().Processes, before.Processes+1)
}

// A pointer of Git LFS is never taken for the file that it stands for.
func TestLFSPointer(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	repo := newRepo(t, files{"big.bin": pointer, "about-lfs.md": "# LFS\n" + pointer, "long": pointer + strings.Repeat("x", 1024)})
	s := openSource(t, Options{Dir: repo})
	_, err := fs.ReadFile(s.FS(), "big.bin")
	wantError(t, err, ErrLFS, "big.bin")
	var told error
	r, err := openContext(t, s, ".").OnError(func(err error) { told = err }).Open("big.bin")
	must(t, err)
	_, err = io.ReadAll(r)
	wantError(t, err, ErrLFS, "big.bin")
	wantError(t, told, ErrLFS)
	for _, name := range []string{"about-lfs.md", "long"} {
		_, err := fs.ReadFile(s.FS(), name)
		must(t, err)
	}
}
