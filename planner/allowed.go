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
