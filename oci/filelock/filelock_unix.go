//go:build !windows

// Package filelock is the kernel's lock on an open file: it goes with the
// process that holds it, so that nothing is left behind to clean up.
//
// It must never know what the file is for.
package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Try takes an exclusive lock that closing the file gives back; ok is false
// while somebody else holds it.
func Try(file *os.File) (ok bool, err error) {
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return err == nil, err
}
