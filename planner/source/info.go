package source

import (
	"io/fs"
	"path"
	"path/filepath"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// ahead is how many sizes are asked for together.
const ahead = 512

// stat describes the node itself; links are not followed.
func (v view) stat(i int) (*fsutil.StatInfo, error) {
	n := &v.tree[i]
	s := &types.Stat{
		Path:    filepath.FromSlash(n.Path),
		Mode:    uint32(n.mode()),
		ModTime: ModTime.UnixNano(),
	}
	switch {
	case n.Mode&fs.ModeSymlink != 0:
		link, err := n.repo.link(n.OID)
		if err != nil {
			return nil, err
		}
		s.Linkname, s.Size = link, int64(len(link))
	case n.Mode.IsRegular() && v.sized:
		size, err := v.size(i)
		if err != nil {
			return nil, err
		}
		s.Size = size
	}
	return &fsutil.StatInfo{Stat: s}, nil
}

func (v view) size(i int) (int64, error) {
	n := v.tree[i]
	return n.repo.size(n.OID, func() []string { return v.filesAfter(i) })
}

// unsizedInfo is the information of a file whose size is asked for only when
// somebody wants it: most who look at a file want to know whether it is there.
type unsizedInfo struct {
	*fsutil.StatInfo
	view view
	i    int
}

// Size is 0 if git cannot tell; reading the file will tell why.
func (u unsizedInfo) Size() int64 {
	if !u.Mode().IsRegular() {
		return u.StatInfo.Size()
	}
	size, _ := u.view.size(u.i)
	return size
}

// filesAfter names the objects of the same repository whose sizes a walk is going
// to want next.
func (v view) filesAfter(i int) []string {
	oids := make([]string, 0, ahead)
	repo := v.tree[i].repo
	for _, n := range v.tree[i+1:] {
		if len(oids) == ahead {
			break
		}
		if n.Mode.IsRegular() && n.repo == repo {
			oids = append(oids, n.OID)
		}
	}
	return oids
}

// dirEntry is a node as a fs.DirEntry. What costs something is left to Info.
type dirEntry struct {
	view view
	i    int
}

func (d dirEntry) Name() string               { return path.Base(d.view.tree[d.i].Path) }
func (d dirEntry) IsDir() bool                { return d.view.isDir(d.i) }
func (d dirEntry) Type() fs.FileMode          { return d.view.tree[d.i].mode().Type() }
func (d dirEntry) Info() (fs.FileInfo, error) { return d.view.info(d.i) }

// info is what projectFS tells of a file.
func (v view) info(i int) (fs.FileInfo, error) {
	v.sized = false
	s, err := v.stat(i)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: v.tree[i].Path, Err: err}
	}
	return unsizedInfo{s, v, i}, nil
}
