package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file whole or not at all, with the directories over it. A
// file that is there keeps its permissions, a new one gets perm; what is no
// regular file, a pipe say, is written to as it is.
func WriteFile(name string, data []byte, perm os.FileMode) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return os.WriteFile(name, data, perm)
	}
	s, err := stage(name, data, perm)
	if err != nil {
		return err
	}
	return s.commit()
}

// staged is a file's new content, written beside it.
type staged struct{ temporary, name string }

// stage writes what commit then puts in the file's place.
func stage(name string, data []byte, perm os.FileMode) (_ *staged, err error) {
	s := &staged{name: name}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		s.name = target
	}
	if info, err := os.Stat(s.name); err == nil {
		perm = info.Mode().Perm()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(s.name), 0o755); err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.name), ".slipway-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	s.temporary = f.Name()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(perm), f.Close()); err != nil {
		s.discard()
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	return s, nil
}

func (s *staged) commit() error {
	if err := os.Rename(s.temporary, s.name); err != nil {
		s.discard()
		return fmt.Errorf("writing %s: %w", s.name, err)
	}
	return nil
}

// discard removes what was not committed; afterwards it does nothing.
func (s *staged) discard() { os.Remove(s.temporary) }
