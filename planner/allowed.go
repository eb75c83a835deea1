package planner

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"slipway/planner/giterminism"
)

// files is the project's files for reading in a role: those of the commit, and in
// their place those of the work tree that giterminism allows in that role.
func (p *Project) files(rule giterminism.Rule) fs.FS {
	return p.allowed(func(string) giterminism.Rule { return rule }, rule)
}

// templateFiles is what templates read: each other and .Files, two roles.
func (p *Project) templateFiles() fs.FS {
	return p.allowed(p.templateRule, giterminism.TemplateFiles, giterminism.UncommittedTemplate)
}

// allowed lays what is allowed of the work tree over the commit; role is the one
// of rules in which a file is read.
func (p *Project) allowed(role func(name string) giterminism.Rule, rules ...giterminism.Rule) fs.FS {
	commit := p.source.FS()
	if !slices.ContainsFunc(rules, p.rules.AllowsAny) {
		return commit
	}
	root := p.workTree()
	if root == nil {
		return commit
	}
	return allowedFS{commit: commit, work: root.FS(), allows: func(name string) bool { return p.rules.Allows(role(name), name) }}
}

// openRoot opens the project on disk; nil if nothing there belongs to it.
func openRoot(dir string) *os.Root {
	if dir == "" {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil // as in a clone without a checkout
	}
	return root
}

// templateRule is the role in which rendering reads a file.
func (p *Project) templateRule(name string) giterminism.Rule {
	if strings.HasPrefix(name, p.templates+"/") && strings.HasSuffix(name, ".tmpl") {
		return giterminism.UncommittedTemplate
	}
	return giterminism.TemplateFiles
}

// allowedFS is one file system laid over another where a rule allows it. A file
// that is allowed takes the place of what the commit has there, be it a directory;
// a directory in which anything is allowed, that of a file.
type allowedFS struct {
	commit, work fs.FS
	allows       func(name string) bool
}

// place says where a name is looked up.
type place int

const (
	inCommit place = iota
	inWork         // a file that is allowed
	inBoth         // a directory, with what either has
	nowhere        // below a file that is allowed
)

func (f allowedFS) place(name string) (place, error) {
	for i, r := range name {
		if r != '/' {
			continue
		}
		if p, err := f.placeOf(name[:i]); err != nil || p == inWork {
			return nowhere, err
		}
	}
	return f.placeOf(name)
}

// placeOf is place for a name of which no parent is a file.
func (f allowedFS) placeOf(name string) (place, error) {
	if slices.Contains(strings.Split(name, "/"), ".git") {
		return inCommit, nil
	}
	info, err := fs.Stat(f.work, name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return inCommit, nil
	case err != nil && f.allows(name):
		return nowhere, err
	case err != nil:
		return inCommit, nil
	case info.IsDir():
		if isDir(f.commit, name) || f.allowsIn(name) {
			return inBoth, nil
		}
		return inCommit, nil
	case !f.allows(name):
		return inCommit, nil
	case !info.Mode().IsRegular():
		return nowhere, &fs.PathError{Op: "open", Path: name, Err: errors.New("neither a file nor a directory")}
	}
	return inWork, nil
}

// allowsIn tells whether the directory of the work tree has anything that is
// allowed. It enters no symbolic links, which may lead back.
func (f allowedFS) allowsIn(dir string) bool {
	entries, err := fs.ReadDir(f.work, dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return f.counts(dir, e) })
}

// counts tells whether an entry of a directory of the work tree is there.
func (f allowedFS) counts(dir string, e fs.DirEntry) bool {
	full := path.Join(dir, e.Name())
	switch {
	case e.Name() == ".git":
		return false
	case e.IsDir():
		return f.allowsIn(full)
	}
	return f.allows(full)
}

func (f allowedFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	where, err := f.place(name)
	switch {
	case err != nil:
		return nil, err
	case where == inWork:
		return f.work.Open(name)
	case where == nowhere:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case where == inCommit:
		return f.commit.Open(name)
	}
	of := f.work
	if isDir(f.commit, name) {
		of = f.commit
	}
	dir, err := of.Open(name)
	if err != nil {
		return nil, err
	}
	return &mergedDir{File: dir, fs: f, name: name}, nil
}

// ReadDir lists what both have: of a directory that only the work tree has, what
// is allowed.
func (f allowedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	where, err := f.place(name)
	switch {
	case err != nil:
		return nil, err
	case where == inWork:
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	case where == nowhere:
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	case where == inCommit:
		return fs.ReadDir(f.commit, name)
	}
	all := map[string]fs.DirEntry{}
	if isDir(f.commit, name) {
		entries, err := fs.ReadDir(f.commit, name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all[e.Name()] = e
		}
	}
	more, err := fs.ReadDir(f.work, name)
	if err != nil {
		return nil, err
	}
	for _, e := range more {
		if e.IsDir() && isDir(f.commit, path.Join(name, e.Name())) {
			continue // as the commit has it
		}
		if f.counts(name, e) {
			all[e.Name()] = e
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }), nil
}

func isDir(fsys fs.FS, name string) bool {
	info, err := fs.Stat(fsys, name)
	return err == nil && info.IsDir()
}

// mergedDir is an open directory of both.
type mergedDir struct {
	fs.File
	fs   allowedFS
	name string
	list []fs.DirEntry // nil until it is read
	at   int
}

func (d *mergedDir) ReadDir(n int) (_ []fs.DirEntry, err error) {
	if d.list == nil {
		if d.list, err = d.fs.ReadDir(d.name); err != nil {
			return nil, err
		}
	}
	rest := d.list[d.at:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.at += len(rest)
	return rest, nil
}
