package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
)

// projectFS is a view as the file systems of the standard library.
type projectFS struct{ view view }

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
func (p projectFS) at(op, name string, follow bool) (int, error) {
	if !fs.ValidPath(name) {
		return 0, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	i, err := p.view.resolve(name, follow)
	if err != nil {
		return 0, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return i, nil
}

// content opens the file at a node.
func (v view) content(i int) (io.ReadCloser, error) {
	switch m := v.tree[i].Mode; {
	case m == Submodule:
		return nil, ErrSubmodule
	case m.IsDir():
		return nil, errIsDir
	}
	r, size, err := v.objects.open(v.tree[i].OID)
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
	i, err := p.at("open", name, true)
	if err != nil {
		return nil, err
	}
	if p.view.tree[i].Mode.IsDir() {
		return &openDir{fs: p, name: name, i: i}, nil
	}
	r, err := p.view.content(i)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{ReadCloser: r, view: p.view, i: i}, nil
}

func (p projectFS) ReadFile(name string) ([]byte, error) {
	i, err := p.at("read", name, true)
	if err != nil {
		return nil, err
	}
	r, err := p.view.content(i)
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
	i, err := p.at("readdir", name, true)
	if err != nil {
		return nil, err
	}
	dir := p.view.tree[i]
	if !dir.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	list := []fs.DirEntry{}
	for k := i + 1; k <= i+dir.below; k += 1 + p.view.tree[k].below {
		list = append(list, dirEntry{p.view, k})
	}
	return list, nil
}

func (p projectFS) Stat(name string) (fs.FileInfo, error) {
	i, err := p.at("stat", name, true)
	if err != nil {
		return nil, err
	}
	return p.view.info(i)
}

func (p projectFS) Lstat(name string) (fs.FileInfo, error) {
	i, err := p.at("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return p.view.info(i)
}

func (p projectFS) ReadLink(name string) (string, error) {
	i, err := p.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	if p.view.tree[i].Mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: errNotLink}
	}
	link, err := p.view.objects.link(p.view.tree[i].OID)
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
	i    int
	read bool
	list []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.fs.view.info(d.i) }
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
