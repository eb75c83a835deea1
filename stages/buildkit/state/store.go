package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// maxSlots bounds how many runs can build at once on one machine.
const maxSlots = 64

// Options of Take.
type Options struct {
	// Owner is the number of the process to name as the user of the slot; 0 means
	// this one. It is for people.
	Owner int
	// Note is told what people should know: that a slot was set aside. It may be
	// nil.
	Note func(text string)
}

// Store is a slot that this process has.
type Store struct {
	slot
	lock  *os.File
	dirty bool // the last user did not give it back
}

// Take takes a slot below dir for this process, until Release is called or the
// process ends: of those that are free the one that was used last, since it is
// the one that knows the most, or else a new one. What a killed process left in
// it is cleared away first. A slot that is broken is set aside.
func Take(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Owner == 0 {
		o.Owner = os.Getpid()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// The kernel lists mounts by their resolved paths.
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	for err == nil {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var s *Store
		if s, err = next(dir); err != nil || s == nil {
			continue
		}
		var cause *brokenError
		switch err := s.prepare(o); {
		case err == nil:
			sweepOthers(dir, o.Note)
			return s, nil
		case errors.As(err, &cause):
			if err := s.setAside(cause, o.Note); err != nil {
				return nil, err
			}
		default:
			return nil, errors.Join(err, s.lock.Close())
		}
	}
	return nil, fmt.Errorf("taking a state directory for BuildKit: %w", err)
}

// next locks the slot that should be used; nil if it is to be asked once more.
func next(dir string) (*Store, error) {
	slots, _, _, err := list(dir)
	if err != nil {
		return nil, err
	}
	var taken [maxSlots]bool
	for _, s := range slots {
		file, err := s.lock()
		if err != nil {
			return nil, err
		}
		if file != nil {
			return &Store{slot: s, lock: file}, nil
		}
		if s.number < maxSlots {
			taken[s.number] = true
		}
	}
	for n := range taken {
		if taken[n] {
			continue
		}
		if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(n)), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		return nil, nil // whoever locks it first has it
	}
	return nil, fmt.Errorf("all %d below %s are in use by other runs", maxSlots, dir)
}

// prepare clears the slot and marks it as used.
func (s *Store) prepare(o Options) error {
	s.dirty = s.isDirty()
	if err := sweep(s.path, o.Note); err != nil {
		return err
	}
	boot, err := bootID()
	if err == nil {
		err = checkBoot(filepath.Join(s.path, dirtyName), boot)
	}
	if err == nil {
		err = check(s.path, s.dirty)
	}
	if err != nil {
		return err
	}
	err = s.lock.Truncate(0)
	if err == nil {
		_, err = s.lock.WriteAt([]byte(strconv.Itoa(o.Owner)), 0)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.path, dirtyName), []byte(boot), 0o600)
	}
	return err
}

// isDirty tells whether the last user did not give the slot back.
func (s slot) isDirty() bool {
	_, err := os.Stat(filepath.Join(s.path, dirtyName))
	return err == nil
}

// sweepOthers clears away what killed runs left in slots that nobody uses now.
func sweepOthers(dir string, note func(text string)) {
	slots, _, _, _ := list(dir) //nolint:errcheck // it was listed a moment ago
	for _, s := range slots {
		if !s.isDirty() {
			continue
		}
		if file, err := s.lock(); err == nil && file != nil {
			if err := sweep(s.path, note); err != nil {
				note(fmt.Sprintf("a killed run has left something: %v", err))
			}
			file.Close()
		}
	}
}

// Dir is the directory for BuildKit's stores, an absolute path without links.
func (s *Store) Dir() string { return s.path }

// Release gives the slot back. BuildKit has closed its stores.
func (s *Store) Release() error {
	err := unmountBelow(s.path)
	if err == nil {
		err = os.Remove(filepath.Join(s.path, dirtyName))
	}
	now := time.Now()
	return errors.Join(err, os.Chtimes(s.lock.Name(), now, now), s.lock.Close())
}

// setAside gives the slot up, since it cannot be used, and keeps it out of the way
// until it is collected.
func (s *Store) setAside(cause error, note func(text string)) error {
	defer s.lock.Close()
	to, err := s.putAway(broken)
	if err != nil {
		return fmt.Errorf("setting aside %s, which is broken (%w): %w", s.path, cause, err)
	}
	note(fmt.Sprintf("the state of earlier builds is broken (%v): it is set aside as %s, and builds begin with an empty one", cause, to))
	return nil
}
