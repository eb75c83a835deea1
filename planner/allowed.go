package planner

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"slipway/planner/giterminism"
)

// files is the project's files for reading in a role: those of the commit, and in
// their place those of the work tree that giterminism allows in that role.
func (p *Project) files(rule giterminism.Rule) fs.FS {
	commit, dir := p.source.FS(), p.source.Dir()
	if dir == "" || !p.rules.AllowsAny(rule) {
		return commit
	}
	return over(commit, dir, func(name string) bool { return p.rules.Allows(rule, name) })
}

// templateFiles is what templates read: each other and .Files, two roles.
func (p *Project) templateFiles() fs.FS {
	commit, dir := p.source.FS(), p.source.Dir()
	if dir == "" || !p.rules.AllowsAny(giterminism.TemplateFiles) && !p.rules.AllowsAny(giterminism.UncommittedTemplate) {
		return commit
	}
	return over(commit, dir, func(name string) bool { return p.rules.Allows(p.templateRule(name), name) })
}

// over lays what is allowed of a directory over the commit. Links that lead out
// of the directory are not followed.
func over(commit fs.FS, dir string, allows func(name string) bool) fs.FS {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return commit // there is no work tree
	}
	return allowedFS{commit: commit, work: root.FS(), allows: allows}
}

// templateRule is the role in which rendering reads a file.
func (p *Project) templateRule(name string) giterminism.Rule {
	if strings.HasPrefix(name, p.templates+"/") && strings.HasSuffix(name, ".tmpl") {
		return giterminism.UncommittedTemplate
	}
	return giterminism.TemplateFiles
}

// allowedFS is one file system laid over another where a rule allows it.
type allowedFS struct {
	commit, work fs.FS
	allows       func(name string) bool
}

func (f allowedFS) Open(name string) (fs.File, error) {
	if f.allows(name) {
		if file, err := f.work.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return f.commit.Open(name)
}

// ReadDir lists what both have: a directory of the work tree counts if anything
// in it may be allowed.
func (f allowedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	all := map[string]fs.DirEntry{}
	entries, err := fs.ReadDir(f.commit, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		all[e.Name()] = e
	}
	more, workErr := fs.ReadDir(f.work, name)
	for _, e := range more {
		full := path.Join(name, e.Name())
		if e.Name() != ".git" && (e.IsDir() || f.allows(full)) {
			all[e.Name()] = e
		}
	}
	if err != nil && workErr != nil {
		return nil, err
	}
	var out []fs.DirEntry
	for _, e := range all {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}
