//go:build !windows

package tokens

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

// ofUser is a file of a user's.
type ofUser struct {
	uid  uint32
	mode fs.FileMode
}

func (ofUser) Name() string        { return "file" }
func (ofUser) Size() int64         { return 0 }
func (f ofUser) Mode() fs.FileMode { return f.mode }
func (ofUser) ModTime() time.Time  { return time.Time{} }
func (ofUser) IsDir() bool         { return false }
func (f ofUser) Sys() any          { return &syscall.Stat_t{Uid: f.uid} }

// What another user wrote is not trusted, even to a superuser.
func TestOwned(t *testing.T) {
	me := uint32(os.Geteuid())
	for file, want := range map[ofUser]bool{
		{me, 0o600}: true, {me, 0o400}: true, {me, 0o640}: false, {me, 0o602}: false, {me + 1, 0o600}: false,
	} {
		if got := owned(file); got != want {
			t.Errorf("%+v: %t", file, got)
		}
	}
}
