package source

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// WithFiles is the context with files of the work tree added to it, or put in the
// place of committed ones (contextAddFiles). The paths are relative to the
// context; a directory brings everything in it, but for .git. The files are
// hashed now, as git would hash them without checkout filters, so that a file
// equal to the committed one is the same entry; they are streamed from disk when
// they are opened, and fail to be read if they changed meanwhile.
func (c *Context) WithFiles(ctx context.Context, paths []string) (*Context, error) {
	if len(paths) == 0 {
		return c, nil
	}
	if c.workDir == "" {
		return nil, errors.New("add files to the build context: the repository is bare and has no work tree to take them from")
	}
	root, err := os.OpenRoot(c.workDir)
	if err != nil {
		return nil, fmt.Errorf("add files to the build context: %v", err)
	}
	defer root.Close()
	a := &adder{ctx: ctx, root: root, repo: c.tree.source.main,
		added: map[string]Entry{}, committed: map[string]bool{}}
	for _, n := range a.repo.tree {
		a.committed[n.OID] = true
	}
	for _, p := range paths {
		if err := a.add(p); err != nil {
			return nil, fmt.Errorf("add %q to the build context: %w", p, err)
		}
	}
	v, err := a.enter(c.view())
	if err != nil {
		return nil, fmt.Errorf("add files to the build context: %w", err)
	}
	out := *c
	out.listings = &listings{}
	out.tree = &growing{source: c.tree.source, dir: c.tree.dir, tree: a.merge(v.tree)}
	return &out, nil
}

// adder collects the entries of an overlay.
type adder struct {
	ctx       context.Context
	root      *os.Root
	repo      *repository     // that hashes are made for
	committed map[string]bool // object ids that git can be asked for
	added     map[string]Entry
}

// add takes one path that the user named.
func (a *adder) add(name string) error {
	clean := path.Clean(filepath.ToSlash(name))
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return errors.New("it is outside of the build context: name files relative to the context")
	}
	// The parents come along, and must be directories: a file behind a symbolic
	// link has another place in the context.
	for i, r := range clean {
		if r != '/' {
			continue
		}
		dir := clean[:i]
		if fi, err := a.root.Lstat(dir); err != nil {
			return missing(err)
		} else if fi.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%q is a symbolic link: name the file where it really is", dir)
		}
		a.added[dir] = Entry{Path: dir, Mode: fs.ModeDir | 0o755}
	}
	return a.walk(clean)
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the work tree has no such file: create it before, or take it off the list")
	}
	return err
}

// walk adds what is at name and under it.
func (a *adder) walk(name string) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	fi, err := a.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return missing(err)
	}
	e := Entry{Path: name}
	switch m := fi.Mode(); {
	case m.IsDir():
		if name != "." {
			e.Mode = fs.ModeDir | 0o755
			a.added[name] = e
		}
		dir, err := fs.ReadDir(a.root.FS(), name)
		if err != nil {
			return err
		}
		for _, d := range dir {
			if d.Name() == ".git" {
				continue
			}
			if err := a.walk(path.Join(name, d.Name())); err != nil {
				return err
			}
		}
		return nil
	case m&fs.ModeSymlink != 0:
		link, err := a.root.Readlink(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		link = filepath.ToSlash(link)
		h := a.repo.newHash()
		fmt.Fprintf(h, "blob %d\x00%s", len(link), link)
		e.Mode, e.OID = fs.ModeSymlink|0o777, hex.EncodeToString(h.Sum(nil))
		a.repo.mu.Lock()
		a.repo.links[e.OID] = link
		a.repo.mu.Unlock()
	case m.IsRegular():
		e.Mode = 0o644
		if m&0o100 != 0 {
			e.Mode = 0o755
		}
		if e.OID, err = a.hashFile(name); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%q is neither a file nor a directory nor a symbolic link", name)
	}
	a.added[name] = e
	return nil
}

// hashFile finds a file's object id and, if the commit has no such object, lets
// the file stand in for it.
func (a *adder) hashFile(name string) (string, error) {
	f, err := a.root.Open(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := a.repo.newHash()
	fmt.Fprintf(h, "blob %d\x00", fi.Size())
	if n, err := io.Copy(h, f); err != nil {
		return "", err
	} else if n != fi.Size() {
		return "", fmt.Errorf("%q: %w", name, errChanged)
	}
	oid := hex.EncodeToString(h.Sum(nil))
	if a.committed[oid] {
		return oid, nil
	}
	a.repo.know(oid, fi.Size())
	a.repo.mu.Lock()
	defer a.repo.mu.Unlock()
	a.repo.files[oid] = diskFile{dir: a.root.Name(), name: name}
	return oid, nil
}

// enter is the view with the submodules known in which something is added.
func (a *adder) enter(v view) (view, error) {
	for _, name := range slices.Sorted(maps.Keys(a.added)) { // the outer ones first
		if i, ok := v.find(name); ok && a.added[name].Mode.IsDir() {
			var err error
			if v, _, err = v.enter(i); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// merge puts the added entries over the tree. A file takes the place of a whole
// directory, and a directory that of a file.
func (a *adder) merge(t tree) tree {
	nodes := make([]node, 0, len(t)+len(a.added))
	for i := 1; i < len(t); i++ {
		e, replaced := a.added[t[i].Path]
		switch {
		case !replaced:
			nodes = append(nodes, t[i])
		case e.Mode.IsDir() && t[i].Mode.IsDir():
			delete(a.added, t[i].Path) // it keeps its object id
			nodes = append(nodes, t[i])
		case !e.Mode.IsDir():
			i += t[i].below
		}
	}
	for _, e := range a.added {
		nodes = append(nodes, node{Entry: e, repo: a.repo})
	}
	for i := range nodes {
		nodes[i].below = 0
	}
	return newTree(nodes)
}

var errChanged = errors.New("the file changed while it was used: let nothing write to the build context during a run")

// diskFile is a file of the work tree that stands in for an object.
type diskFile struct{ dir, name string }

func (d diskFile) open(oid string, size int64, h hash.Hash) (io.ReadCloser, error) {
	f, err := os.OpenInRoot(d.dir, filepath.FromSlash(d.name))
	if err != nil {
		// Not wrapped: fsutil leaves out what does not exist (see process.failure).
		return nil, fmt.Errorf("%w (%v)", errChanged, err)
	}
	fmt.Fprintf(h, "blob %d\x00", size)
	return &checkedFile{File: f, hash: h, oid: oid, name: d.name}, nil
}

// checkedFile fails at its end if the content is not the one that was hashed.
type checkedFile struct {
	*os.File
	hash hash.Hash
	oid  string
	name string
}

func (c *checkedFile) Read(b []byte) (int, error) {
	n, err := c.File.Read(b)
	c.hash.Write(b[:n])
	if err == io.EOF && hex.EncodeToString(c.hash.Sum(nil)) != c.oid {
		err = fmt.Errorf("%q: %w", c.name, errChanged)
	}
	return n, err
}

// WriteTo hides the one of os.File, which would go past the check.
func (c *checkedFile) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}
