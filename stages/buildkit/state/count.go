package state

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// count is what a tree takes on disk, in bytes, and whether all of it could be
// read. What vanishes meanwhile is not there.
func count(ctx context.Context, root string) (size int64, complete bool) {
	complete = true
	seen := map[file]bool{} // files may have several names
	err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if err != nil {
			complete = complete && errors.Is(err, fs.ErrNotExist)
			return ctx.Err()
		}
		if id, bytes := onDisk(info); !seen[id] || id == (file{}) {
			seen[id] = true
			size += bytes
		}
		return ctx.Err()
	})
	return size, complete && err == nil
}
