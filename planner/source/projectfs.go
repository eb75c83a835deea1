package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
)

// projectFS is the project as the file systems of the standard library.
type projectFS struct{ *growing }

var (
	_ fs.ReadFileFS = projectFS{}
	_ fs.ReadDirFS  = projectFS{}
	_ fs.StatFS     = projectFS{}
	_ fs.ReadLinkFS = projectFS{}
)

var (
	errIsDir   = errors.New("is a directory")
	errNotDir  = errors.New("not a directory")
	errNotLink = errors.New("not a symbolic link")
)

// at finds the node for an operation.
func (p projectFS) at(op, name string, follow bool) (view, int, error) {
	v := p.view()
	if !fs.ValidPath(name) {
		return v, 0, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	v, i, err := v.resolve(name, follow)
	if err != nil {
		return v, 0, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return v, i, nil
}

// content opens the file at a node.
func (v view) content(i int) (io.ReadCloser, error) {
	if v.isDir(i) {
		return nil, errIsDir
	}
	r, size, err := v.tree[i].repo.open(v.tree[i].OID)
	if err != nil || size >= maxPointer {
		return r, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, pointerStart) {
		return nil, ErrLFS
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// What Git LFS commits in the place of a file
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md): shorter than 1024
// bytes, its first line this.
const maxPointer = 1024

var pointerStart = []byte("version https://git-lfs.github.com/spec/")

func (p projectFS) Open(name string) (fs.File, error) {
	v, i, err := p.at("open", name, true)
	if err != nil {
		return nil, err
	}
	if v.isDir(i) {
		return &openDir{fs: p, name: name, view: v, i: i}, nil
	}
	r, err := v.content(i)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{ReadCloser: r, view: v, i: i}, nil
}

func (p projectFS) ReadFile(name string) ([]byte, error) {
	v, i, err := p.at("read", name, true)
	if err != nil {
		return nil, err
	}
	r, err := v.content(i)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

func (p projectFS) ReadDir(name string) ([]fs.DirEntry, error) {
	v, i, err := p.at("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if v, i, err = v.enter(i); err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	dir := v.tree[i]
	if !dir.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	list := []fs.DirEntry{}
	for k := i + 1; k <= i+dir.below; k += 1 + v.tree[k].below {
		list = append(list, dirEntry{v, k})
	}
	return list, nil
}

func (p projectFS) Stat(name string) (fs.FileInfo, error) {
	v, i, err := p.at("stat", name, true)
	if err != nil {
		return nil, err
	}
	return v.info(i)
}

func (p projectFS) Lstat(name string) (fs.FileInfo, error) {
	v, i, err := p.at("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return v.info(i)
}

func (p projectFS) ReadLink(name string) (string, error) {
	v, i, err := p.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	n := v.tree[i]
	if n.Mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: errNotLink}
	}
	link, err := n.repo.link(n.OID)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return link, nil
}

// openFile is an open regular file.
type openFile struct {
	io.ReadCloser
	view view
	i    int
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.view.info(f.i) }

// openDir is an open directory; list is what ReadDir has not returned yet.
type openDir struct {
	fs   projectFS
	name string
	view view
	i    int
	read bool
	list []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.view.info(d.i) }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDir}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.fs.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.read, d.list = true, list
	}
	if n <= 0 || n > len(d.list) {
		if n > 0 && len(d.list) == 0 {
			return nil, io.EOF
		}
		n = len(d.list)
	}
	list := d.list[:n:n]
	d.list = d.list[n:]
	return list, nil
}
