package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tonistiigi/fsutil"
)

// Context is a directory of the project as a build context. As an fsutil.FS it
// is what fsutil.NewFS makes of a checkout, but for owners (root), times
// (ModTime) and modes (git's), so it can be sent to a builder as it is.
//
// Filter and Listing enter the submodules that their patterns let anything of
// through, for good, and a Walk of one enters it. Until then a walk shows a
// submodule as a directory without entries: whoever sends a context has listed it
// with the same patterns before.
//
// A regular file's information has its true size, asked of git in batches as the
// walk goes: only what survives the filter, and a little ahead of it, is looked at.
type Context struct {
	tree    *growing
	unsized bool   // as view.sized
	workDir string // the same directory in the work tree, "" without one
	onError func(error)

	listings *listings // made so far; images often read the same of one context
}

var _ fsutil.FS = (*Context)(nil)

// Context is the build context in dir, slash-separated and relative to the
// project's directory ("" and "." are the project itself). Symbolic links that
// lead to it are followed.
func (s *Source) Context(dir string) (*Context, error) {
	name := path.Clean(filepath.ToSlash(dir))
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
		return nil, fmt.Errorf("build context %q: it is outside of the project: name a directory of the project, relative to it", dir)
	}
	v, i, err := s.project.view().resolve(name, true)
	if err == nil {
		v, i, err = v.enter(i)
	}
	if err == nil && !v.tree[i].Mode.IsDir() {
		err = errNotDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("build context %q: commit %s has no such directory: commit its files, or correct the name: %w", dir, s.commit, err)
	} else if err != nil {
		return nil, fmt.Errorf("build context %q: %w", dir, err)
	}
	real := v.tree[i].Path
	s.contextsMu.Lock()
	defer s.contextsMu.Unlock()
	if c := s.contexts[real]; c != nil {
		return c, nil
	}
	c := &Context{tree: &growing{source: s, dir: real, tree: v.sub(i)}, listings: &listings{}}
	if !s.bare {
		c.workDir = filepath.Join(s.dir, filepath.FromSlash(real))
	}
	if s.contexts == nil {
		s.contexts = map[string]*Context{}
	}
	s.contexts[real] = c
	return c, nil
}

// view is the context as it is known now.
func (c *Context) view() view {
	v := c.tree.view()
	v.sized = !c.unsized
	return v
}

// Walk implements fsutil.FS: it calls fn for everything at and under target, in
// the order of filepath.WalkDir and with its rules for fs.SkipDir and
// fs.SkipAll. As in fsutil.NewFS the root itself is not visited, a target that
// does not exist is given to fn as an error, and an error of fn that means "does
// not exist" only skips. Symbolic links within target are not followed.
func (c *Context) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return c.view().walk(ctx, target, fn)
}

func (v view) walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	name := path.Clean(filepath.ToSlash(target))
	if name = strings.TrimPrefix(name, "/"); name == "" {
		name = "."
	}
	v, first, ok, err := v.reach(name)
	if err != nil {
		return err
	}
	if !ok { // "../x" too: there is nothing above the context
		name = filepath.FromSlash(name)
		err := skipMissing(fn(name, nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}))
		if err == fs.SkipDir || err == fs.SkipAll {
			return nil
		}
		return err
	}
	end := first + v.tree[first].below
	for i := first; i <= end; i++ {
		if i == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n := &v.tree[i]
		err := skipMissing(fn(filepath.FromSlash(n.Path), contextEntry{dirEntry{v, i}}, nil))
		switch {
		case err == nil && n.Mode == gitlink && i == first:
			if v, i, err = v.enter(i); err != nil {
				return err
			}
			first, end = i, i+v.tree[i].below
		case err == nil:
		case err == fs.SkipAll:
			return nil
		case err != fs.SkipDir:
			return err
		case n.mode().IsDir():
			i += n.below
		case i == first:
			return nil
		default: // the rest of the directory that the file is in
			parent, _ := v.find(path.Dir(n.Path))
			i = parent + v.tree[parent].below
		}
	}
	return nil
}

// skipMissing is what fsutil does with a file that vanished during the walk.
func skipMissing(err error) error {
	if err != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return fs.SkipDir
	}
	return err
}

// contextEntry is a dirEntry with fsutil's idea of information.
type contextEntry struct{ dirEntry }

func (e contextEntry) Info() (fs.FileInfo, error) {
	info, err := e.view.stat(e.i) // with its size: fsutil takes it from Sys
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: e.view.tree[e.i].Path, Err: err}
	}
	return info, nil
}

// OnError is the same context, which calls fn with any error of reading a file
// before the reader gets to see it. Whoever sends a context needs it to cancel
// the transfer: fsutil's sender takes a file that fails to open for an empty
// one, and after a read that failed it waits for ever, without a word to the
// receiver. fn may be called more than once and concurrently.
func (c *Context) OnError(fn func(error)) *Context {
	out := *c
	out.onError = fn
	return &out
}

// Open implements fsutil.FS. Symbolic links are followed within the context.
// That an object cannot be read is told by Read, never by Open; see OnError.
func (c *Context) Open(name string) (io.ReadCloser, error) {
	clean := strings.TrimPrefix(path.Clean(filepath.ToSlash(name)), "/")
	v, i, err := c.view().resolve(clean, true)
	if err == nil && v.isDir(i) {
		err = errIsDir
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &lazyFile{context: c, view: v, i: i}, nil
}

// lazyFile opens the file when it is first read.
type lazyFile struct {
	context *Context
	view    view
	i       int
	r       io.ReadCloser
	err     error // sticks
}

func (f *lazyFile) Read(b []byte) (n int, err error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.r == nil {
		f.r, err = f.view.content(f.i)
	}
	if err == nil {
		n, err = f.r.Read(b)
	}
	if err != nil && err != io.EOF {
		err = &fs.PathError{Op: "read", Path: f.view.tree[f.i].Path, Err: err}
		if f.context.onError != nil {
			f.context.onError(err)
		}
	}
	f.err = err
	return n, err
}

func (f *lazyFile) Close() error {
	f.err = fs.ErrClosed
	if f.r == nil {
		return nil
	}
	return f.r.Close()
}

// Filter is the part of the context that a local source with these exclude
// patterns (.dockerignore) and follow paths reads. It is composed as BuildKit's
// session/filesync does it when it sends the context: one filter, and follow
// paths resolved on the whole context, ignored files included.
func (c *Context) Filter(excludes, followPaths []string) (fsutil.FS, error) {
	if err := c.enterSubmodules(excludes, followPaths); err != nil {
		return nil, fmt.Errorf("filter the build context: %w", err)
	}
	f, err := fsutil.NewFilterFS(c, &fsutil.FilterOpt{ExcludePatterns: excludes, FollowPaths: followPaths})
	if err != nil {
		return nil, fmt.Errorf("filter the build context: %w", err)
	}
	return f, nil
}
