package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// take takes a slot and gives it back when the test ends.
func take(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Take(t.Context(), dir, Options{Note: func(text string) { t.Errorf("note: %s", text) }})
	must(t, err)
	t.Cleanup(func() { s.lock.Close() }) // else the garbage collector does
	return s
}

func release(t *testing.T, s *Store, used time.Time) {
	t.Helper()
	must(t, s.Release())
	must(t, os.Chtimes(filepath.Join(s.path, lockName), used, used))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Runs at once have a slot each; later ones get the one that was used last.
func TestTakeTheWarmestSlot(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first, second, third := take(t, dir), take(t, dir), take(t, dir)
	for i, s := range []*Store{first, second, third} {
		if s.number != i {
			t.Errorf("slot %d is %s", i, s.Dir())
		}
	}
	release(t, first, now.Add(-time.Hour))
	release(t, third, now.Add(-time.Hour))
	release(t, second, now)
	for _, want := range []*Store{second, first, third} { // the lower number of equals
		if s := take(t, dir); s.Dir() != want.Dir() {
			t.Errorf("got %s, want %s", s.Dir(), want.Dir())
		}
	}
	if s := take(t, dir); s.number != 3 {
		t.Errorf("got %s", s.Dir())
	}
}

func TestAllSlotsAreTaken(t *testing.T) {
	dir := t.TempDir()
	for range maxSlots {
		take(t, dir)
	}
	if s, err := Take(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "all 64") {
		t.Errorf("got %v, %v", s, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Take(ctx, t.TempDir(), Options{}); err == nil {
		t.Errorf("got %v", s)
	}
}

// What a run with sudo has left is not for the next one without.
func TestAnotherUsersSlot(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 {
		const nobody = 65534
		must(t, errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(filepath.Dir(dir), 0o755)))
		runtime.LockOSThread() // of which alone it is the user (setfsuid(2))
		defer runtime.UnlockOSThread()
		must(t, unix.Setfsuid(nobody))
		defer unix.Setfsuid(0) //nolint:errcheck // root may
	}
	other := filepath.Join(dir, "0")
	must(t, os.Mkdir(other, 0))
	s, err := Take(t.Context(), dir, Options{})
	must(t, err)
	if s.number != 1 {
		t.Errorf("taken is %s", s.Dir())
	}
	must(t, s.Release())
	if c, err := Collect(t.Context(), dir, Keep{None: true}); err != nil || c.InUse != 1 || slotsLeft(t, dir) != "0" {
		t.Errorf("got %+v, %v; left are %s", c, err, slotsLeft(t, dir))
	}
}

// database makes one as BuildKit does, of more than a few pages.
func database(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("bucket"))
		for i := range 100 {
			if err == nil {
				err = b.Put([]byte{byte(i)}, make([]byte, 1000))
			}
		}
		if err == nil {
			b, err = b.CreateBucket([]byte("nested"))
		}
		if err == nil {
			err = b.Put([]byte("key"), make([]byte, 9000))
		}
		return err
	}))
	must(t, db.Close())
}

// A slot that BuildKit could not open is set aside, and the run goes on.
func TestBrokenSlots(t *testing.T) {
	for name, test := range map[string]struct {
		database string
		damage   func(t *testing.T, path string)
		killed   bool
		broken   bool
	}{
		"whole":            {"cache.db", func(*testing.T, string) {}, true, false},
		"never written to": {"cache.db", func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }, false, false},
		"no database":      {"cache.db", func(t *testing.T, path string) { write(t, path, strings.Repeat("no database", 10000)) }, false, true},
		"cut short":        {"runc-overlayfs/metadata_v2.db", func(t *testing.T, path string) { must(t, os.Truncate(path, 3*4096)) }, false, true},
		"cut to nothing":   {"runc-overlayfs/containerdmeta.db", func(t *testing.T, path string) { must(t, os.Truncate(path, 100)) }, false, true},
		"garbage in pages": {"runc-native/snapshots/metadata.db", garbage, true, true},
		"machine went down": {"cache.db", func(t *testing.T, path string) {
			write(t, filepath.Join(filepath.Dir(path), dirtyName), "another start")
		}, true, true},
		"a directory of it": {"history.db", func(t *testing.T, path string) { must(t, os.Remove(path)); must(t, os.Mkdir(path, 0o700)) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := take(t, dir)
			path := filepath.Join(s.Dir(), test.database)
			database(t, path)
			test.damage(t, path)
			if test.killed {
				must(t, s.lock.Close())
			} else {
				must(t, s.Release())
			}
			var notes []string
			s, err := Take(t.Context(), dir, Options{Note: func(text string) { notes = append(notes, text) }})
			must(t, err)
			if kept := exists(path); kept == test.broken || s.Dir() != filepath.Join(dir, "0") {
				t.Errorf("took %s; %s there: %v", s.Dir(), path, kept)
			}
			_, aside, _, err := list(dir)
			must(t, err)
			if (len(aside) == 1) != test.broken || (len(notes) == 1 && strings.Contains(notes[0], aside[0].path)) != test.broken {
				t.Errorf("set aside: %v, told: %q", aside, notes)
			}
		})
	}
}

// garbage overwrites all but the first pages, which are the meta pages.
func garbage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	for i := 2 * os.Getpagesize(); i < len(content); i++ {
		content[i] = 0xa5
	}
	must(t, os.WriteFile(path, content, 0o600))
}

// What a killed run left is gone when the slot is taken again, and also when
// another slot is.
func TestTakeAfterAKill(t *testing.T) {
	for _, same := range []bool{true, false} {
		dir := t.TempDir()
		s := take(t, dir)
		executor, ingest := filepath.Join(s.Dir(), "runc-overlayfs/executor"), filepath.Join(s.Dir(), "runc-overlayfs/content/ingest")
		write(t, filepath.Join(executor, "abc/config.json"), "{}")
		write(t, filepath.Join(executor, "resolv.conf"), "")
		write(t, filepath.Join(ingest, "0123/data"), "half")
		blob := filepath.Join(s.Dir(), "runc-overlayfs/content/blobs/sha256/0123")
		write(t, blob, "whole")
		root := filepath.Join(executor, "abc/rootfs")
		must(t, os.MkdirAll(root, 0o700))
		must(t, unix.Mount("tmpfs", root, "tmpfs", 0, ""))
		must(t, s.lock.Close()) // as the kernel does
		if !same {
			now := time.Now().Add(time.Hour)
			write(t, filepath.Join(dir, "1", lockName), "")
			must(t, os.Chtimes(filepath.Join(dir, "1", lockName), now, now))
		}
		again := take(t, dir)
		if (again.Dir() == s.Dir()) != same || again.dirty != same {
			t.Errorf("took %s, dirty %v", again.Dir(), again.dirty)
		}
		if points, err := mountPoints(dir); err != nil || len(points) > 0 {
			t.Errorf("mounted: %v, %v", points, err)
		}
		for _, path := range []string{filepath.Join(executor, "abc"), filepath.Join(executor, "resolv.conf"), filepath.Join(ingest, "0123")} {
			if exists(path) {
				t.Errorf("%s is left", path)
			}
		}
		if !exists(blob) {
			t.Error("the content was removed")
		}
		must(t, again.Release())
		if left := again.isDirty(); left {
			t.Error("a slot that was given back counts as one whose user was killed")
		}
	}
}

// The kernel's control groups of a container, and what runs in it, go with it.
func TestRemoveGroup(t *testing.T) {
	parent := "/sys/fs/cgroup"
	if !exists(filepath.Join(parent, "cgroup.procs")) {
		parent = filepath.Join(parent, "pids") // version 1
	}
	group, err := os.MkdirTemp(parent, "slipway-test-")
	must(t, err)
	t.Cleanup(func() { os.Remove(filepath.Join(group, "nested")); os.Remove(group) })
	must(t, os.Mkdir(filepath.Join(group, "nested"), 0o700))
	process, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
	must(t, err)
	t.Cleanup(func() { process.Kill() })
	must(t, os.WriteFile(filepath.Join(group, "nested", "cgroup.procs"), []byte(strconv.Itoa(process.Pid)), 0o600))
	ended := make(chan *os.ProcessState, 1)
	go func() {
		state, err := process.Wait()
		if err == nil {
			ended <- state
		}
	}()
	must(t, removeGroup(group))
	if state := <-ended; !strings.Contains(state.String(), "killed") || exists(group) {
		t.Errorf("the process ended with %s, the group is there: %v", state, exists(group))
	}
	must(t, removeGroup(group))
}

func TestUnmountBelow(t *testing.T) {
	dir := t.TempDir()
	inside, nested := filepath.Join(dir, "root", "a b\\c"), filepath.Join(dir, "root", "a b\\c", "n")
	beside := filepath.Join(dir, "root2")
	for _, point := range []string{inside, nested, beside} {
		must(t, os.MkdirAll(point, 0o755))
		must(t, unix.Mount("tmpfs", point, "tmpfs", 0, ""))
		t.Cleanup(func() { unix.Unmount(point, unix.MNT_DETACH) })
	}
	must(t, unmountBelow(filepath.Join(dir, "root")))
	points, err := mountPoints(dir)
	if err != nil || len(points) != 1 || points[0] != beside {
		t.Errorf("mounted: %q, %v", points, err)
	}
}
