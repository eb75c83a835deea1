package cachemounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

const (
	shared  = pb.CacheSharingOpt_SHARED
	private = pb.CacheSharingOpt_PRIVATE
	locked  = pb.CacheSharingOpt_LOCKED
)

func TestNames(t *testing.T) {
	long := strings.Repeat("/long", 100)
	names := map[string]string{}
	for id, want := range map[string]string{
		"npm": "npm", "/root/.npm": "%2Froot%2F.npm", "a,b": "a%2Cb", "%2F": "%252F", ".": "%.", "..": "%..", "": "%",
		"with space": "with%20space", "имя": "%D0%B8%D0%BC%D1%8F", long: "", long + "er": "",
	} {
		got := cache{id: id}.name()
		if want != "" && got != want || len(got) > 200 || filepath.Base(got) != got {
			t.Errorf("%.50q is %q, want %q", id, got, want)
		}
		if other, ok := names[got]; ok {
			t.Errorf("%.50q and %.50q are both %q", id, other, got)
		}
		names[got] = id
	}
	owned := cache{id: "npm", owned: true, uid: 1000, gid: 10, mode: 0o700}
	if got := owned.name(); got != "npm,uid=1000,gid=10,mode=0700" {
		t.Errorf("an owned one is %q", got)
	}
}

// vertex is a solver.Vertex of an operation.
type vertex struct {
	solver.Vertex
	op *pb.Op
}

func (v vertex) Sys() any { return v.op }

// Which mounts of a RUN are taken, and what of them is known.
func TestCachesOf(t *testing.T) {
	owned := llb.Scratch().File(llb.Mkdir("/cache", 0o750, llb.WithUIDGID(5, 6)))
	state := llb.Image("base").Run(llb.Args([]string{"x"}), llb.Dir("/work"),
		llb.AddMount("/plain", llb.Scratch(), llb.AsPersistentCacheDir("/npm", llb.CacheMountLocked)),
		llb.AddMount("/owned", owned, llb.SourcePath("/cache"), llb.AsPersistentCacheDir("//owned", llb.CacheMountPrivate)),
		llb.AddMount("/from", llb.Image("other"), llb.AsPersistentCacheDir("/from", llb.CacheMountShared)),
		llb.AddMount("/source", llb.Scratch(), llb.SourcePath("/sub"), llb.AsPersistentCacheDir("/source", llb.CacheMountShared)),
		llb.AddMount("/two", llb.Scratch().File(llb.Mkdir("/a", 0o700)).File(llb.Mkdir("/b", 0o700)), llb.SourcePath("/b"), llb.AsPersistentCacheDir("/two", llb.CacheMountShared)),
		llb.AddMount("/tmp", llb.Scratch(), llb.Tmpfs()),
		llb.AddMount("/bound", llb.Image("other")),
	).Root()
	def, err := state.Marshal(t.Context(), llb.LinuxAmd64)
	if err != nil {
		t.Fatal(err)
	}
	ops, runs := map[string]*pb.Op{}, 0
	for _, dt := range def.Def {
		op := new(pb.Op)
		if err := op.UnmarshalVT(dt); err != nil {
			t.Fatal(err)
		}
		ops[digest.FromBytes(dt).String()] = op
		if op.GetExec() == nil {
			continue
		}
		runs++
		var inputs []solver.Edge
		for _, in := range op.Inputs {
			inputs = append(inputs, solver.Edge{Vertex: vertex{op: ops[in.Digest]}})
		}
		got := cachesOf(op.GetExec(), inputs)
		if len(got) != 2 || got["/plain"] != (cache{id: "npm", sharing: locked, mode: 0o755}) ||
			got["/owned"] != (cache{id: "/owned", sharing: private, owned: true, uid: 5, gid: 6, mode: 0o750}) {
			t.Errorf("got %+v", got)
		}
	}
	if runs != 1 {
		t.Errorf("%d RUNs", runs)
	}
}

// How the modes of sharing get on: one uses the cache, and another wants it.
func TestSharing(t *testing.T) {
	for _, test := range []struct {
		name        string
		first, then pb.CacheSharingOpt
		want        string // the directory; "" if it has to wait
	}{
		{"all share", shared, shared, "0"},
		{"nobody shares a private one", private, private, "1"},
		{"not with one who shares either", shared, private, "1"},
		{"nor the other way round", private, shared, "1"},
		{"a locked one is waited for", locked, locked, ""},
		{"also if it is shared", shared, locked, ""},
		{"who shares need not wait", locked, shared, "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "not", "there yet")
			never := func() { t.Error("waited") }
			dir, release, err := cache{sharing: test.first, mode: 0o755}.take(t.Context(), parent, never)
			if err != nil || filepath.Base(dir) != "0" {
				t.Fatalf("the first gets %s, %v", dir, err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			enough, waited := errors.New("enough"), 0
			second := cache{sharing: test.then, mode: 0o755}
			dir, releaseSecond, err := second.take(ctx, parent, func() { waited++; cancel(enough) })
			switch {
			case test.want != "":
				if err != nil || filepath.Base(dir) != test.want || waited > 0 {
					t.Fatalf("the second gets %s, %v", dir, err)
				}
				releaseSecond()
			case !errors.Is(err, enough) || waited != 1:
				t.Errorf("the second gets %s, %v", dir, err)
			}
			if test.want == "" { // until it is free
				time.AfterFunc(lockPoll/2, release)
			} else {
				release()
			}
			dir, release, err = second.take(t.Context(), parent, nil)
			if err != nil || filepath.Base(dir) != "0" {
				t.Fatalf("after the first it gets %s, %v", dir, err)
			}
			release()
		})
	}
}

// A directory has the owner and the mode that the Dockerfile gives, also where
// another has just made it; what RUNs do to one without is left alone.
func TestOwner(t *testing.T) {
	parent := t.TempDir()
	owned := cache{id: "a", owned: true, uid: os.Getuid(), gid: os.Getgid(), mode: 0o711}
	plain := cache{id: "b", mode: 0o755}
	for _, c := range []cache{owned, plain} {
		for _, change := range []fs.FileMode{0, 0o700} {
			dir, release, err := c.take(t.Context(), filepath.Join(parent, c.name()), nil)
			if err != nil {
				t.Fatal(err)
			}
			want := c.mode
			if change == 0 { // now make it another
				if err := os.Chmod(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				release()
				continue
			}
			if !c.owned {
				want = change
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has the mode %v, want %v (%v)", c.name(), info.Mode(), want, err)
			}
			release()
		}
	}
}
