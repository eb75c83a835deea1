// Package state keeps the directories that BuildKit has its stores in: numbered
// slots, each used by one process at a time, bounded together.
//
// A slot is DIR/N; its file lock is locked by the kernel as long as a process
// uses it, holds the number of that process, and was written when the slot was
// last taken or given back. Whoever holds the lock may rename the slot, which is
// how it is removed or set aside: as DIR/N.removed-… it is rubbish, whatever
// stopped its removal; as DIR/N.broken-… it is kept for a look at it.
//
// It must never know what is built, nor start BuildKit.
package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/oci/filelock"
)

const (
	lockName  = "lock"
	sizeName  = "size"   // bytes in decimal, as they were when the slot was last given back
	dirtyName = "in-use" // there while the slot is used, and after its user was killed; holds the bootID
	removed   = ".removed-"
	broken    = ".broken-"
)

// Own tells whether an entry of a slot is this package's own, not BuildKit's.
func Own(name string) bool { return name == lockName || name == sizeName || name == dirtyName }

// slot is a directory that BuildKit may keep its stores in.
type slot struct {
	path   string
	number int // -1 of one that is set aside
	used   time.Time
}

// list gives the slots below dir, the one used last first, then those set aside,
// and what is left of removed ones. A directory that is not there has none.
func list(dir string) (slots, aside []slot, rubbish []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("listing the state of builds: %w", err)
	}
	for _, e := range entries {
		s := slot{path: filepath.Join(dir, e.Name()), number: -1}
		if info, err := os.Stat(filepath.Join(s.path, lockName)); err == nil {
			s.used = info.ModTime()
		}
		n, err := strconv.Atoi(e.Name())
		switch {
		case err == nil && n >= 0 && strconv.Itoa(n) == e.Name():
			s.number = n
			slots = append(slots, s)
		case strings.Contains(e.Name(), broken):
			aside = append(aside, s)
		case strings.Contains(e.Name(), removed):
			rubbish = append(rubbish, s.path)
		}
	}
	slices.SortFunc(slots, func(a, b slot) int {
		if c := b.used.Compare(a.used); c != 0 {
			return c
		}
		return a.number - b.number
	})
	return slots, aside, rubbish, nil
}

// lock takes the slot; nil while another process has it, if it is gone, or if it
// is another user's, as after a run with sudo.
func (s slot) lock() (*os.File, error) {
	path := filepath.Join(s.path, lockName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ok, err := filelock.Try(file)
	if err == nil && ok {
		// It may have been removed, or set aside, before it was locked.
		opened, statErr := file.Stat()
		named, nameErr := os.Stat(path)
		if statErr == nil && nameErr == nil && os.SameFile(opened, named) {
			return file, nil
		}
	}
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return nil, nil
}

// owner is the process that has the slot; 0 if none has.
func (s slot) owner() (pid int) {
	file, err := os.OpenFile(filepath.Join(s.path, lockName), os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer file.Close()
	if free, err := filelock.Try(file); free || err != nil {
		return 0
	}
	text, err := io.ReadAll(io.LimitReader(file, 20))
	if err == nil {
		pid, err = strconv.Atoi(string(text))
	}
	if err != nil {
		return -1 // not written yet
	}
	return pid
}

// putAway renames a slot that is locked, or set aside.
func (s slot) putAway(as string) (string, error) {
	base, _, _ := strings.Cut(filepath.Base(s.path), ".")
	to := filepath.Join(filepath.Dir(s.path), base+as+strings.ToLower(rand.Text()[:8]))
	return to, os.Rename(s.path, to)
}

// remove removes a slot that is locked, or set aside.
func (s slot) remove(ctx context.Context) error {
	rubbish, err := s.putAway(removed)
	if err == nil {
		err = removeAll(ctx, rubbish)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", s.path, err)
	}
	return nil
}

// layerDepth is how far below a slot its layers are: runc-NAME/snapshots/snapshots/N.
const layerDepth = 4

// removeAll removes a slot's tree, with nothing mounted in it. When ctx ends it
// stops after a layer, and what is left is rubbish for the next run.
func removeAll(ctx context.Context, path string) error {
	if err := unmountBelow(path); err != nil {
		return err
	}
	return removeTree(ctx, path, layerDepth)
}

func removeTree(ctx context.Context, path string, depth int) error {
	if depth > 0 {
		entries, _ := os.ReadDir(path) //nolint:errcheck // RemoveAll will say
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if err := removeTree(ctx, filepath.Join(path, e.Name()), depth-1); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return os.RemoveAll(path)
}

// size is what the slot takes as far as it is known: what its last user wrote
// down, else what can be counted.
func (s slot) size(ctx context.Context) int64 {
	text, err := os.ReadFile(filepath.Join(s.path, sizeName))
	if err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return n
		}
	}
	size, _ := count(ctx, s.path)
	return size
}
