// Package carried starts programs that this one carries within itself, compressed:
// from memory on Linux, where nothing is written to a disk, so that nothing is left
// whatever ends this process; elsewhere from a temporary file.
//
// It must never know what the programs do.
package carried

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

// Program is the program that compressed is, an executable packed with zstd. What it
// returns calls start with a path of it, and, where it could not be started from
// there, with others. Call done when the process has ended.
func Program(name string, compressed []byte) func(start func(path string) error) (done func(), err error) {
	return func(start func(path string) error) (func(), error) {
		err := fromMemory(name, compressed, start)
		if err == nil {
			return func() {}, nil
		}
		// A machine may refuse to start what is in the first of these.
		dirs := []string{os.TempDir()}
		if cache, err := os.UserCacheDir(); err == nil {
			dirs = append(dirs, cache)
		}
		for _, dir := range dirs {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				break
			}
			done, failed := fromFile(dir, name, compressed, start)
			if failed == nil {
				return done, nil
			}
			err = errors.Join(err, failed)
		}
		return nil, err
	}
}

// fromFile starts the program from a temporary file in dir.
func fromFile(dir, name string, compressed []byte, start func(path string) error) (func(), error) {
	dir, err := os.MkdirTemp(dir, name+"-*")
	if err != nil {
		return nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	path := filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if err = write(path, compressed); err == nil {
		err = start(path)
	}
	if err != nil {
		remove()
		return nil, err
	}
	if runtime.GOOS != "windows" { // which removes no program that runs
		remove()
	}
	return remove, nil
}

// write writes the program's file. A process that is forked meanwhile would have it
// open for writing, too, and no system starts what is.
func write(path string, compressed []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	if err := unpack(f, compressed); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func unpack(w io.Writer, compressed []byte) error {
	d, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.WriteTo(w); err != nil {
		return fmt.Errorf("unpacking a program: %w", err)
	}
	return nil
}
