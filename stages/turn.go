package stages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"slipway/engine"
	"slipway/oci/filelock"
)

// Turns let runs that share a directory, which are the runs of one user on one
// machine, make each result one at a time, so that the others find it instead of
// making it, too. It is advice, not a promise: where the directory cannot be
// used, all go on as they would on several machines. nil lets everybody go.
//
// A turn is the kernel's lock on a file, and so it ends with the process that has
// it. The file goes with the turn; those that killed processes left go when a run
// takes its first, or with Sweep.
type Turns struct {
	dir         string
	first, note sync.Once
}

// NewTurns keeps turns in dir, which is made when it is first needed.
func NewTurns(dir string) *Turns { return &Turns{dir: dir} }

// take takes the turn of a name. The error is *engine.Busy while another process
// has it.
func (t *Turns) take(ctx context.Context, name string) (release func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	t.first.Do(func() { t.Sweep() }) //nolint:errcheck // if it matters, it fails below
	sum := sha256.Sum256([]byte(name))
	path := filepath.Join(t.dir, hex.EncodeToString(sum[:16]))
	file, err := lockFile(path)
	if err != nil {
		t.note.Do(func() {
			note(ctx, "other runs on this machine may build the same at the same time: %v", err)
		})
		return func() {}, nil
	}
	if file == nil {
		return nil, &engine.Busy{Wait: func(ctx context.Context) error { return wait(ctx, path) }}
	}
	// For people and for who waits; the lock is what counts.
	if err := file.Truncate(0); err == nil {
		file.WriteString(strconv.Itoa(os.Getpid())) //nolint:errcheck // it is only shown
	}
	return func() { remove(file) }, nil
}

// lockFile makes and locks a file; nil while somebody else has it.
func lockFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		ok, err := filelock.Try(file)
		if err != nil || !ok {
			file.Close()
			return nil, err
		}
		// Whoever had the lock removed the file before giving it back: what is
		// locked now may be nobody's.
		if opened, err := file.Stat(); err == nil {
			if named, err := os.Stat(path); err == nil && os.SameFile(opened, named) {
				return file, nil
			}
		}
		file.Close()
	}
}

// remove removes a file that is locked, and gives the lock back: in the order in
// which nobody loses a lock on what has been removed. Windows removes no open
// file, and so none that anybody else has open.
func remove(file *os.File) {
	if os.Remove(file.Name()) == nil {
		file.Close()
		return
	}
	file.Close()
	os.Remove(file.Name()) //nolint:errcheck // the next turn or Sweep will
}

// How often a waiting stage asks for its turn, and how long it does so in
// silence.
const (
	turnPoll   = 50 * time.Millisecond
	turnSilent = time.Second
)

// wait returns when the file is locked no more.
func wait(ctx context.Context, path string) error {
	ticker := time.NewTicker(turnPoll)
	defer ticker.Stop()
	silent := time.After(turnSilent)
	step := ""
	for {
		free, holder, err := locked(path)
		if free || err != nil {
			if step != "" {
				engine.Emit(ctx, engine.Event{Kind: engine.EventStep, Step: step, StepDone: true})
			}
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-silent:
			step = "waiting for another run on this machine" + holder + ", which builds the same"
			engine.Emit(ctx, engine.Event{Kind: engine.EventStep, Step: step})
		case <-ticker.C:
		}
	}
}

// locked tells whether a file is there and locked, and by whom: " (process 123)".
func locked(path string) (free bool, holder string, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return true, "", nil
	}
	if err != nil {
		return false, "", err
	}
	defer file.Close()
	if free, err = filelock.Try(file); free || err != nil {
		return free, "", err
	}
	text, err := io.ReadAll(io.LimitReader(file, 20))
	if pid, convErr := strconv.Atoi(string(text)); err == nil && convErr == nil {
		holder = fmt.Sprintf(" (process %d)", pid)
	}
	return false, holder, nil
}

// Sweep removes what killed processes left.
func (t *Turns) Sweep() error {
	entries, err := os.ReadDir(t.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		file, err := os.OpenFile(filepath.Join(t.dir, e.Name()), os.O_RDWR, 0)
		if err != nil {
			continue // gone by now
		}
		if ok, err := filelock.Try(file); ok && err == nil {
			remove(file)
			continue
		}
		file.Close()
	}
	return err
}
