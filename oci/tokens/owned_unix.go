//go:build !windows

package tokens

import (
	"io/fs"
	"os"
	"syscall"
)

// owned tells whether a file is the user's and closed to everybody else.
func owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
