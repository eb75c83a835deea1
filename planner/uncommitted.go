package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway/planner/diag"
	"slipway/planner/giterminism"
	"slipway/planner/lock"
	"slipway/planner/render"
	"slipway/planner/source"
	"slipway/planner/werfyaml"
)

// CheckUncommitted refuses a configuration that the user would take for that of
// the work tree.
func (p *Project) CheckUncommitted(ctx context.Context, o Options) error {
	return p.inspect(ctx, nil, nil, o)
}

// inspect refuses a plan that the user would take for one of the work tree: a
// file that it read from the commit is another there. What the plan did not read
// is nobody's business.
func (p *Project) inspect(ctx context.Context, sections []werfyaml.Image, planned map[string]*Image, o Options) error {
	if p.dev || o.Loose || p.source.Dir() == "" {
		return nil
	}
	role := func(name string) (giterminism.Rule, bool) { return p.role(name, sections, planned, o) }
	changes, err := giterminism.Inspect(ctx, giterminism.Worktree(p.source.Worktree()), nil, func(name string) bool {
		_, reads := role(name)
		return reads
	})
	if err != nil {
		return err
	}
	if outputs := o.outputs(p.source.Dir()); len(outputs) > 0 {
		changes = slices.DeleteFunc(changes, func(c giterminism.Change) bool {
			return c.Kind == giterminism.Untracked && slices.Contains(outputs, c.Path)
		})
	}
	if len(changes) == 0 {
		return nil
	}
	// Without the configuration there is no checkout, but a clone of objects.
	if slices.Contains(changes, giterminism.Change{Path: p.name, Kind: giterminism.Deleted}) {
		changes = slices.DeleteFunc(changes, func(c giterminism.Change) bool {
			return c.Kind == giterminism.Deleted || c.Kind == giterminism.Staged
		})
	}
	for _, c := range changes {
		if rule, _ := role(c.Path); rule == mustBeCommitted {
			return &diag.Diagnostic{Message: fmt.Sprintf("%s has uncommitted changes (%s)", c.Path, c.Kind), Advice: "commit it, or undo them: it is always read from the commit"}
		}
	}
	if d := p.rules.Uncommitted(changes, func(name string) giterminism.Rule {
		rule, _ := role(name)
		return rule
	}); d != nil {
		return d
	}
	return nil
}

// role is how the plan reads a file from the commit; false if it does not.
func (p *Project) role(name string, sections []werfyaml.Image, planned map[string]*Image, o Options) (giterminism.Rule, bool) {
	from := func(rule giterminism.Rule) (giterminism.Rule, bool) {
		return rule, !p.rules.Allows(rule, name) // else it is read from the work tree
	}
	switch {
	case name == p.rulesName, name == lock.FileName && o.Lock == nil:
		return mustBeCommitted, true
	case name == p.name:
		return from(giterminism.UncommittedConfig)
	case p.rendersFrom(name):
		return from(p.templateRule(name))
	case o.ReadsChart && inside(name, p.Config.Meta.ChartDir):
		return from(giterminism.ChartFiles)
	}
	for _, s := range sections {
		dockerfile := path.Join(s.Context, s.Dockerfile)
		switch name {
		case dockerfile:
			return from(giterminism.Dockerfile)
		case dockerfile + ".dockerignore", path.Join(s.Context, ".dockerignore"):
			return from(giterminism.Dockerignore)
		}
	}
	for _, s := range sections {
		if !inside(name, s.Context) {
			continue
		}
		below := strings.TrimPrefix(name, s.Context+"/")
		if slices.ContainsFunc(s.ContextAddFiles, func(added string) bool { return inside(below, added) }) {
			continue
		}
		if image := planned[s.Name]; image != nil && slices.ContainsFunc(image.Builds, func(b *Build) bool { return b.Recipe.Reads(below) }) {
			return "", true
		}
	}
	return "", false
}

// mustBeCommitted is the role of files that nothing lets come from the work tree.
const mustBeCommitted giterminism.Rule = "must be committed"

// rendersFrom tells whether the rendered configuration depends on a file.
func (p *Project) rendersFrom(name string) bool {
	return slices.Contains(p.output.Files, name) ||
		slices.ContainsFunc(p.output.Globs, func(g string) bool {
			matches, err := render.Match(g, name)
			return err == nil && matches
		})
}

// inside tells whether name is dir or in it.
func inside(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// devTree is the work tree as it is, for source.Options.
func (o Options) devTree(ctx context.Context, w source.Worktree) (string, []string, error) {
	// One state per work tree, and none that names it.
	id := sha256.Sum256([]byte(w.Dir))
	var ignored []string
	for _, name := range o.outputs(filepath.Join(w.Dir, filepath.FromSlash(w.Project))) {
		ignored = append(ignored, giterminism.QuoteGlob(name))
	}
	tree, err := giterminism.MakeDevTree(ctx, giterminism.Worktree(w), giterminism.DevOptions{
		State:  filepath.Join(o.DevState, hex.EncodeToString(id[:8])),
		Ignore: append(ignored, o.DevIgnore...),
	})
	if err != nil {
		return "", nil, err
	}
	return tree.Tree, tree.Env, nil
}

// outputs is the paths in the project of the files that runs write, as far as
// they exist.
func (o Options) outputs(project string) []string {
	var out []string
	for _, name := range o.Outputs {
		full, err := filepath.Abs(name)
		if err != nil {
			continue
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(full))
		if err != nil {
			continue
		}
		full = filepath.Join(dir, filepath.Base(full))
		info, err := os.Lstat(full)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if rel, err := filepath.Rel(project, full); err == nil && filepath.IsLocal(rel) {
			out = append(out, filepath.ToSlash(rel))
		}
	}
	return out
}
