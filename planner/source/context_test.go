package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// gnarly has names whose order differs between git, strings and paths, and names
// that need quoting somewhere.
var gnarly = files{
	"a/b": "1", "a-b": "2", "a.b": "3", "a/b.c": "4", "a/b-c/d": "5", "a0": "6", "a b": "7", "a\nb/c": "8",
	"a+/x": "x:9", "A/b": "10", "é/ü": "11", "\"quoted\"/'s": "12", "back\\slash": "13", "tab\t/t": "14",
	"star*/[x]?": "15", ".dockerignore": "16", ".hidden/.x": "", "-dash/--x": "17", "big": strings.Repeat("z", 100000),
	"link": "->a/b", "a/up": "->../a-b", "dirlink": "->a", "dangling": "->no\nwhere", "abs": "->/etc/passwd", "out": "->../..",
	"\xff\xfe/latin1": "18",
}

func TestWalkIsThatOfACheckout(t *testing.T) {
	repo := newRepo(t, gnarly)
	s := openSource(t, Options{Dir: repo})
	sameAsCheckout(t, openContext(t, s, "."), checkout(t, repo),
		"", ".", "a", "/a", "a/", "a/b", "a/b/", "a/b/nope", "a/./b-c", "a/../a-b", "nope", "nope/x", "a\nb", "link", "é/ü", "star*", "-dash")
	sameAsCheckout(t, openContext(t, s, "a"), filepath.Join(checkout(t, repo), "a"), "b", "b-c", "up", "a")
	sameAsCheckout(t, openContext(t, s, "./dirlink/../a"), filepath.Join(checkout(t, repo), "a"))
	equal(t, paths(listing(t, s, "dirlink")), []string{"b", "b-c", "b-c/d", "b.c", "up"})
}

// TestWalkControl compares what fs.SkipDir, fs.SkipAll and "does not exist" do,
// returned at each entry in turn.
func TestWalkControl(t *testing.T) {
	repo := newRepo(t, gnarly)
	c := openContext(t, openSource(t, Options{Dir: repo}), ".")
	disk, err := fsutil.NewFS(checkout(t, repo))
	must(t, err)
	visit := func(f fsutil.FS, target, at string, with error) (out []string, err error) {
		err = f.Walk(context.Background(), target, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			out = append(out, p)
			if p == at {
				return with
			}
			return nil
		})
		return out, err
	}
	all, err := visit(disk, "/", "", nil)
	must(t, err)
	boom := errors.New("boom")
	for _, with := range []error{fs.SkipDir, fs.SkipAll, fs.ErrNotExist, boom} {
		for _, target := range []string{"/", "a", "a/b"} {
			for _, at := range all {
				got, gotErr := visit(c, target, at, with)
				want, wantErr := visit(disk, target, at, with)
				equal(t, got, want)
				equal(t, gotErr, wantErr)
			}
		}
	}
	// Above the context there is nothing.
	for _, target := range []string{"..", "../x", "../../etc"} {
		if err := c.Walk(context.Background(), target, func(p string, d fs.DirEntry, err error) error {
			if d != nil || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, %v", p, d, err)
			}
			return boom
		}); err != boom {
			t.Errorf("%s: %v", target, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Walk(ctx, "/", func(string, fs.DirEntry, error) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled walk: %v", err)
	}
}

func TestStatIsNormalised(t *testing.T) {
	repo := newRepo(t, files{"d/f": "1", "x": "x:22", "l": "->d/f"})
	c := openContext(t, openSource(t, Options{Dir: repo}), "")
	want := map[string]*types.Stat{
		"d":   {Path: "d", Mode: uint32(fs.ModeDir | 0o755)},
		"d/f": {Path: "d/f", Mode: 0o644, Size: 1},
		"x":   {Path: "x", Mode: 0o755, Size: 2},
		"l":   {Path: "l", Mode: uint32(fs.ModeSymlink | 0o777), Size: 3, Linkname: "d/f"},
	}
	must(t, c.Walk(context.Background(), "/", func(p string, d fs.DirEntry, _ error) error {
		fi, err := d.Info()
		must(t, err)
		st := fi.Sys().(*types.Stat)
		want[p].ModTime = 315619200 * 1e9
		if !st.EqualVT(want[p]) {
			t.Errorf("got %v, want %v", st, want[p])
		}
		st.Path = "spoilt" // as fsutil's own users do
		delete(want, p)
		return nil
	}))
	equal(t, len(want), 0)
	equal(t, len(walkAll(t, c, "d/f")), 1)
}

func TestContextErrors(t *testing.T) {
	repo := newRepo(t, files{"p/d/f": "1", "p/out": "->..", "top": "2"})
	s := openSource(t, Options{Dir: filepath.Join(repo, "p")})
	for dir, want := range map[string]string{
		"nope": "no such directory", "d/f": "not a directory", "..": "outside", "../p": "outside", "/d": "outside", "out": "out of the project", "d/f/x": "not a directory",
	} {
		_, err := s.Context(dir)
		wantError(t, err, nil, want, `"`+dir+`"`)
	}
	c := openContext(t, s, "d")
	for _, name := range []string{"nope", ".", "f/x", "../out"} {
		if _, err := c.Open(name); err == nil {
			t.Errorf("open %s: no error", name)
		}
	}
	f, err := c.Open("/f")
	must(t, err)
	must(t, f.Close())
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	_, err = c.Listing(context.Background(), []string{"["}, nil)
	wantError(t, err, nil, "build context")
}

// pipe is one end of fsutil's protocol in memory.
type pipe struct {
	ctx context.Context
	in  <-chan []byte
	out chan<- []byte
}

func (p pipe) Context() context.Context { return p.ctx }
func (p pipe) SendMsg(m any) error {
	data, err := m.(*types.Packet).MarshalVT()
	if err != nil {
		return err
	}
	select {
	case p.out <- data:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}
func (p pipe) RecvMsg(m any) error {
	select {
	case data, ok := <-p.in:
		if !ok {
			return io.EOF
		}
		packet := m.(*types.Packet)
		packet.Reset()
		return packet.UnmarshalVT(data)
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// send transfers a context as BuildKit does.
func send(t *testing.T, ctx context.Context, f fsutil.FS) (dir string, sent error) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	there, back := make(chan []byte, 64), make(chan []byte, 64)
	done := make(chan error, 1)
	go func() {
		done <- fsutil.Send(ctx, pipe{ctx, back, there}, f, nil)
		close(there) // the end of the stream, which the receiver waits for
	}()
	dir = t.TempDir()
	received := fsutil.Receive(ctx, pipe{ctx, there, back}, dir, fsutil.ReceiveOpt{Filter: func(_ string, s *types.Stat) bool {
		s.Uid, s.Gid = uint32(os.Getuid()), uint32(os.Getgid())
		return true
	}})
	cancel()
	if sent = <-done; sent == nil {
		sent = received
	}
	return dir, sent
}

func TestSend(t *testing.T) {
	tree := files{"big": string(noise(2*maxBuffered + 3)), "sub/big": string(noise(maxBuffered + 1))}
	for k, v := range gnarly {
		tree[k] = v
	}
	repo := newRepo(t, tree)
	s := openSource(t, Options{Dir: repo})
	f, err := openContext(t, s, ".").Filter([]string{"a.b", "A"}, nil)
	must(t, err)
	dir, err := send(t, context.Background(), f)
	must(t, err)
	for name, want := range tree {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case name == "a.b" || name == "A/b":
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s was sent: %v", name, err)
			}
		case !strings.HasPrefix(want, "->"):
			if must(t, err); !bytes.Equal(got, []byte(strings.TrimPrefix(want, "x:"))) {
				t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
			}
		}
	}
	fi, err := os.Lstat(filepath.Join(dir, "a+/x"))
	must(t, err)
	equal(t, fi.Mode(), 0o755)
	equal(t, fi.ModTime().UTC(), ModTime)
}

// TestSendFails shows that what cannot be read is an error of the transfer, and
// neither an empty file nor a wait for ever.
func TestSendFails(t *testing.T) {
	repo := newRepo(t, files{"a": "1", "b": "22"})
	t.Run("missing object", func(t *testing.T) {
		removeObject(t, repo, "HEAD:b")
		_, err := send(t, context.Background(), openContext(t, openSource(t, Options{Dir: repo}), "."))
		wantError(t, err, ErrMissingObject, "b")
	})
	t.Run("file that changed", func(t *testing.T) {
		must(t, os.WriteFile(filepath.Join(repo, "b"), []byte("33"), 0o644))
		c, err := openContext(t, openSource(t, Options{Dir: repo}), ".").WithFiles(context.Background(), []string{"b"})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(repo, "b"), []byte("44"), 0o644))
		ctx, cancel := context.WithCancelCause(context.Background())
		_, err = send(t, ctx, c.OnError(cancel))
		if err == nil {
			t.Error("sent")
		}
		wantError(t, context.Cause(ctx), errChanged, "b")
	})
}

func removeObject(t *testing.T, repo, name string) {
	t.Helper()
	oid := runGit(t, repo, "rev-parse", name)
	must(t, os.Remove(filepath.Join(repo, ".git/objects", oid[:2], oid[2:])))
}

func TestOpenFollowsLinks(t *testing.T) {
	repo := newRepo(t, gnarly)
	c := openContext(t, openSource(t, Options{Dir: repo}), ".")
	f, err := c.Open("dirlink/up")
	must(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	must(t, err)
	equal(t, string(data), gnarly["a-b"])
}
