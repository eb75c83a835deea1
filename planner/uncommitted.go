package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
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
	if p.comparison == nil {
		return nil
	}
	i := inspection{Project: p, lock: o.Lock == nil, roles: map[string]giterminism.Rule{}, readers: map[string][]reader{}}
	for _, s := range sections {
		i.addReaders(s, planned[s.Name])
		dockerfile := path.Join(s.Context, s.Dockerfile)
		i.roles[dockerfile] = giterminism.Dockerfile
		for _, ignore := range ignoreFiles(dockerfile, s.Context) {
			i.roles[ignore] = giterminism.Dockerignore
			if _, err := fs.Stat(p.files(giterminism.Dockerignore), ignore); err == nil {
				break // the others are not read
			}
		}
	}
	if o.ReadsChart {
		i.chart = chartRules(p.files(giterminism.ChartFiles), p.Config.Meta.ChartDir)
	}
	changes, err := i.changes(ctx)
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
	for _, c := range changes {
		if rule, _ := i.role(c.Path); rule == mustBeCommitted {
			return &diag.Diagnostic{Message: fmt.Sprintf("%s has uncommitted changes (%s)", c.Path, c.Kind), Advice: "commit it, or undo them: it is always read from the commit"}
		}
	}
	if d := p.rules.Uncommitted(changes, func(name string) giterminism.Rule {
		rule, _ := i.role(name)
		return rule
	}); d != nil {
		return d
	}
	return nil
}

// inspection tells what a plan has read.
type inspection struct {
	*Project
	lock    bool                        // the lock file is read
	roles   map[string]giterminism.Rule // of what images name, by its name
	readers map[string][]reader         // of build contexts, by their directory
	chart   *helmChart
}

// reader is a build, or several that read the same of a context.
type reader struct {
	listing *source.Listing
	added   []string // what it takes from the work tree (contextAddFiles)
}

// changes are those in the project and in the submodules that were read.
func (i *inspection) changes(ctx context.Context) ([]giterminism.Change, error) {
	read := map[string]bool{}
	submodules := i.source.Submodules()
	for _, s := range submodules {
		read[s.Path] = true
	}
	comparison, err := i.comparison()
	if err != nil {
		return nil, err
	}
	// Without the configuration there is no checkout, but a clone of objects.
	cloned := comparison.Kind(i.name) == giterminism.Deleted
	reads := func(c giterminism.Change) bool {
		switch {
		case cloned && (c.Kind == giterminism.Deleted || c.Kind == giterminism.Staged):
			return false
		case c.Kind == giterminism.Submodule || read[c.Path]:
			return read[c.Path]
		}
		_, reads := i.role(c.Path)
		return reads
	}
	changes := comparison.Changes(ctx, reads)
	for _, s := range submodules {
		in := func(c giterminism.Change) giterminism.Change {
			c.Path, c.In = path.Join(s.Path, c.Path), s.Path
			return c
		}
		inner, err := giterminism.Inspect(ctx, giterminism.Worktree(s.Worktree), func(c giterminism.Change) bool { return reads(in(c)) })
		if err != nil {
			return nil, fmt.Errorf("submodule %q: %w", s.Path, err)
		}
		for _, c := range inner {
			changes = append(changes, in(c))
		}
	}
	return changes, nil
}

// role is how the plan reads a file from the commit, by its name or another that
// symbolic links give it; false if it does not.
func (i *inspection) role(name string) (giterminism.Rule, bool) {
	aliases, through := i.source.Aliases(name)
	for _, alias := range append([]string{name}, aliases...) {
		if rule, reads := i.roleOf(alias); reads {
			return rule, true
		}
	}
	if through == "" {
		return "", false
	}
	// A link that a read went through is read as what it was read for, if that
	// was a file, and not from the work tree.
	rule, reads := i.roleOf(through)
	if rule == "" && !reads {
		return mustBeCommitted, true
	}
	return rule, reads
}

// roleOf is how the plan reads a file under this name: false if it does not, with
// the rule if it does so from the work tree.
func (i *inspection) roleOf(name string) (allowed giterminism.Rule, reads bool) {
	for _, rule := range i.rolesOf(name) {
		if !i.rules.Allows(rule, name) {
			return rule, true
		}
		allowed = rule
	}
	return allowed, i.inContext(name)
}

// rolesOf are those in which the plan reads a file, but for build contexts.
func (i *inspection) rolesOf(name string) (roles []giterminism.Rule) {
	add := func(reads bool, rule giterminism.Rule) {
		if reads {
			roles = append(roles, rule)
		}
	}
	add(name == i.rulesName || i.lock && name == lock.FileName, mustBeCommitted)
	add(name == i.name, giterminism.UncommittedConfig)
	add(i.rendersFrom(name), i.templateRule(name))
	add(i.chart.reads(name) || slices.ContainsFunc(i.beside, func(read string) bool { return inside(name, read) }), giterminism.ChartFiles)
	add(i.roles[name] != "", i.roles[name])
	return roles
}

// addReaders notes what the builds of an image read.
func (i *inspection) addReaders(s werfyaml.Image, image *Image) {
	if image == nil {
		return
	}
	for _, b := range image.Builds {
		known := slices.ContainsFunc(i.readers[s.Context], func(r reader) bool { return r.listing == b.Recipe.Listing })
		if b.Recipe.Listing != nil && !known {
			i.readers[s.Context] = append(i.readers[s.Context], reader{b.Recipe.Listing, s.ContextAddFiles})
		}
	}
}

// inContext tells whether a build reads a file from its context.
func (i *inspection) inContext(name string) bool {
	for dir := name; ; dir = path.Dir(dir) {
		below := strings.TrimPrefix(name, dir+"/")
		if slices.ContainsFunc(i.readers[dir], func(r reader) bool {
			return !slices.ContainsFunc(r.added, func(added string) bool { return inside(below, added) }) && r.listing.Covers(below)
		}) {
			return true
		}
		if dir == "." {
			return false
		}
	}
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

// devTree is the work tree as it is, for source.Options: that of the project, or
// of one of its submodules.
func (o Options) devTree(ctx context.Context, w source.Worktree, name string) (string, []string, error) {
	ignore, all := giterminism.IgnoreWithin(o.DevIgnore, name)
	if all {
		return "", nil, nil
	}
	// One state per work tree, and none that names it.
	id := sha256.Sum256([]byte(w.Dir))
	var ignored []string
	for _, name := range o.outputs(filepath.Join(w.Dir, filepath.FromSlash(w.Project))) {
		ignored = append(ignored, giterminism.QuoteGlob(name))
	}
	tree, err := giterminism.MakeDevTree(ctx, giterminism.Worktree(w), giterminism.DevOptions{
		State:  filepath.Join(o.DevState, hex.EncodeToString(id[:8])),
		Ignore: append(ignored, ignore...),
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
