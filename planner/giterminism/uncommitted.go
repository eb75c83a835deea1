package giterminism

import (
	"fmt"
	"slices"
	"strings"

	"slipway/planner/diag"
)

// maxListed is how many changes an error names.
const maxListed = 20

// Uncommitted is the diagnostic of changes in files that a run reads: their
// names, and the three ways on. rule tells in which role a file is read; nil, and
// "" for a file of a build context, stand for ContextAddFiles, the way to take
// such a file from the work tree.
func (c *Config) Uncommitted(changes []Change, rule func(path string) Rule) *diag.Diagnostic {
	if len(changes) == 0 {
		return nil
	}
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	d := diag.Pos{}.Errorf("%d files that this run reads have uncommitted changes:", len(changes))
	if len(changes) == 1 {
		d.Message = "a file that this run reads has uncommitted changes:"
	}

	var b strings.Builder
	for i, change := range changes {
		if i == maxListed {
			fmt.Fprintf(&b, "  and %d more\n", len(changes)-i)
			break
		}
		fmt.Fprintf(&b, "  %-9s  %s\n", change.Kind, printable(change.Path))
	}
	b.WriteString("files are read from the commit, so that everybody gets the same; there are three ways on:\n")
	b.WriteString("- commit the changes")
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == Submodule || c.In != "" }) {
		b.WriteString("; those of a submodule in the submodule first")
	}
	b.WriteString(", or undo them")
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == Submodule }) {
		b.WriteString(" (git submodule update)")
	}
	b.WriteString("\n- give --dev to use the work tree as it is\n")
	needs, context := allowances(changes, rule)
	if len(needs) == 0 {
		fmt.Fprintf(&b, "- let %s allow some files to be taken from the work tree, which a deleted file and a submodule cannot be", FileName)
		return d.Advise("%s", b.String())
	}
	fmt.Fprintf(&b, "- take them from the work tree: %s", c.howToAllow(needs))
	if context {
		b.WriteString("\n\n  and name the files of a build context in its image's contextAddFiles, in werf.yaml")
	}
	return d.Advise("%s", b.String())
}

// allowances is what the configuration has to allow for the changes, in the
// order of the rules, and whether files of a build context are among them. What
// is gone cannot be taken from the work tree, nor can a submodule.
func allowances(changes []Change, rule func(string) Rule) (needs []need, context bool) {
	values := map[Rule][]string{}
	for _, change := range changes {
		if change.Kind == Deleted || change.Kind == Submodule {
			continue
		}
		var key Rule
		if rule != nil {
			key = rule(change.Path)
		}
		if _, known := find(key); !known {
			key, context = ContextAddFiles, true
		}
		values[key] = append(values[key], change.Path)
	}
	for _, r := range rules {
		if paths := values[r.key]; len(paths) > 0 {
			needs = append(needs, need{r.key, paths})
		}
	}
	return needs, context
}

// printable is a path as it is unless it could steer a terminal.
func printable(p string) string {
	if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xFFFD || r == 0x202E }) {
		return fmt.Sprintf("%q", p)
	}
	return p
}
