//go:build !windows

package state

import (
	"io/fs"
	"syscall"
)

// file is what two names of one file have in common.
type file struct{ device, inode uint64 }

// onDisk is what a file takes: blocks of 512 bytes (stat(2)).
func onDisk(info fs.FileInfo) (file, int64) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return file{}, info.Size()
	}
	return file{uint64(stat.Dev), stat.Ino}, stat.Blocks * 512 //nolint:unconvert // Dev differs between systems
}
