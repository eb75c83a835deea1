package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// brokenError is a slot that BuildKit could not use.
type brokenError struct {
	file string
	err  error
}

func (e *brokenError) Error() string { return fmt.Sprintf("%s: %v", e.file, e.err) }
func (e *brokenError) Unwrap() error { return e.err }

// bootID is another one each time the machine starts (random(4)); "" where that is
// not to be had.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return strings.TrimSpace(string(id)), err
}

// checkBoot looks whether the machine went down while a slot was used. Its
// databases are on disk then, and may speak of layers whose files are not, or are
// empty: they would be taken for whole.
func checkBoot(dirty, boot string) error {
	then, err := os.ReadFile(dirty)
	if err != nil || len(then) == 0 || string(then) == boot {
		return nil // it was given back, or its user was killed
	}
	return &brokenError{dirty, errors.New("the machine went down while a run used it")}
}

// databases are what BuildKit, containerd and its snapshotter keep below a slot.
var databases = []string{"*.db", "runc-*/*.db", "runc-*/snapshots/*.db"}

// check looks into the databases of a slot before BuildKit does, since that would
// end the process at what it cannot read. A killed process leaves none broken, a
// disk that was full may; after either all is read.
func check(path string, thorough bool) error {
	for _, pattern := range databases {
		for _, file := range glob(path, pattern) {
			if err := checkDatabase(file, thorough); err != nil {
				return &brokenError{file, err}
			}
		}
	}
	return nil
}

func checkDatabase(file string, thorough bool) (err error) {
	info, err := os.Stat(file)
	if err != nil || info.Size() == 0 { // one that was never written to is made again
		return err
	}
	// Reading memory behind the end of a file is a fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	db, err := bolt.Open(file, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("it has %d bytes and should have %d", info.Size(), tx.Size())
		}
		if !thorough {
			return nil
		}
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return readAll(b) })
	})
}

func readAll(b *bolt.Bucket) error {
	return b.ForEach(func(k, v []byte) error {
		if v != nil {
			return nil
		}
		return readAll(b.Bucket(k))
	})
}

// glob is filepath.Glob below a directory whose name may hold anything.
func glob(dir, pattern string) []string {
	names, err := fs.Glob(os.DirFS(dir), pattern)
	if err != nil {
		return nil // a bad pattern, and they are this package's own
	}
	for i := range names {
		names[i] = filepath.Join(dir, names[i])
	}
	return names
}
