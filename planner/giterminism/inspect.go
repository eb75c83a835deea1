package giterminism

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Kind is how a file differs between the commit and the work tree.
type Kind string

const (
	Modified  Kind = "modified"  // the work tree has another content, mode or type
	Deleted   Kind = "deleted"   // the work tree has it no more
	Untracked Kind = "untracked" // git does not know it, and does not ignore it
	Staged    Kind = "staged"    // only the index differs from the commit
	Unmerged  Kind = "unmerged"  // a merge left it to be resolved
	Submodule Kind = "submodule" // another commit of it is checked out, or in the index
)

// Change is a file, or a submodule, that differs.
type Change struct {
	Path string // relative to the project, with slashes
	Kind Kind
	In   string // the path of the submodule that the file is in, if it is in one
}

// Inspect is a Compare and what is of interest of it.
func Inspect(ctx context.Context, w Worktree, reads func(Change) bool) ([]Change, error) {
	c, err := Compare(ctx, w)
	if err != nil {
		return nil, err
	}
	return c.Changes(ctx, reads), nil
}

// Comparison is what differs between the commit and a work tree.
type Comparison struct {
	worktree Worktree
	found    map[string]status // by path in the project
}

// Compare finds what differs. Ignored files are not told. Submodules are told when
// another commit of them is checked out; what differs in their own work trees, a
// Compare of those tells.
//
// It costs one git process, and nothing is written: "git status" compares by its
// stat cache (57,000 files in about 0.1 s) and reads the content of those files only
// that have been touched. Without a work tree there is nothing to differ.
func Compare(ctx context.Context, w Worktree) (*Comparison, error) {
	// Not -z: its paths start at the top of the work tree, which only another
	// process could tell.
	out, err := w.git(ctx, nil, "status", "--porcelain=v2", "--untracked-files=all", "--no-renames",
		"--ignore-submodules=dirty", "--", ":(literal)"+path.Join("./"+w.Project))
	if err != nil && !errors.Is(err, ErrNoWorkTree) {
		return nil, fmt.Errorf("compare the work tree with the commit: %w", err)
	} else if err != nil {
		return &Comparison{}, nil
	}
	found := map[string]status{}
	for line := range strings.Lines(string(out)) {
		c, err := parseStatus(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("compare the work tree with the commit: git status: %w", err)
		}
		p, inside := below(w.Project, c.path)
		if !inside || c.kind == "" {
			continue
		}
		if before, twice := found[p]; twice && before.kind == Deleted && c.kind == Untracked {
			c.kind = Staged // git rm --cached: it is there all the same
		}
		found[p] = c
	}
	return &Comparison{worktree: w, found: found}, nil
}

// Kind is how a file differs; "" if it does not.
func (c *Comparison) Kind(name string) Kind { return c.found[name].kind }

// Changes are those among the files that a run reads, in the order of their paths:
// reads is asked for each. An untracked file counts like any other, for it would be
// in a build context if it had been committed. It costs a git process if there are
// any.
func (c *Comparison) Changes(ctx context.Context, reads func(Change) bool) []Change {
	read := map[string]status{}
	for p, s := range c.found {
		if reads(Change{Path: p, Kind: s.kind}) {
			read[p] = s
		}
	}
	c.worktree.dropEqual(ctx, read)
	changes := make([]Change, 0, len(read))
	for p, s := range read {
		changes = append(changes, Change{Path: p, Kind: s.kind})
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes
}

// dropEqual removes what would be no change if it were committed: "git status"
// takes a file of another size for modified, even where a filter, such as the
// one of line ends, makes the same of both. It is only for runs that are about to
// fail, so it may cost a process.
func (w Worktree) dropEqual(ctx context.Context, found map[string]status) {
	var asked []string // keys of found
	var input strings.Builder
	for p, c := range found {
		if c.kind == Modified && c.oid != "" && !strings.Contains(c.path, "\n") {
			asked = append(asked, p)
			input.WriteString(c.path + "\n")
		}
	}
	if len(asked) == 0 {
		return
	}
	out, err := w.gitInput(ctx, input.String(), nil, "hash-object", "--stdin-paths")
	oids := strings.Fields(string(out))
	if err != nil || len(oids) != len(asked) {
		return // a file that cannot be read is a change
	}
	for i, p := range asked {
		if found[p].oid == oids[i] {
			delete(found, p)
		}
	}
}

// below is a path relative to dir, if it is there.
func below(dir, p string) (string, bool) {
	dir = path.Clean("./" + dir)
	if dir == "." {
		return p, true
	}
	if p == dir {
		return ".", true // the project is a submodule
	}
	return strings.CutPrefix(p, dir+"/")
}

// status is a line of git's.
type status struct {
	path string // relative to Dir
	kind Kind   // "" for what is no file
	oid  string // of the commit's file, if its mode is that of the work tree
}

// parseStatus reads a line of git-status(1)'s "Porcelain Format Version 2".
func parseStatus(line string) (status, error) {
	kind, rest, _ := strings.Cut(line, " ")
	before, known := map[string]int{"1": 7, "u": 9, "?": 0, "#": 0}[kind]
	f := strings.SplitN(rest, " ", before+1)
	if !known || len(f) <= before || f[before] == "" {
		return status{}, fmt.Errorf("unexpected line %.80q", line)
	}
	name := f[before]
	if kind != "#" && strings.HasPrefix(name, `"`) {
		// git quotes as C does, and its part of C is Go's too.
		unquoted, err := strconv.Unquote(name)
		if err != nil {
			return status{}, fmt.Errorf("unexpected path %.80s", name)
		}
		name = unquoted
	}
	s := status{path: strings.TrimSuffix(name, "/")} // a repository within this one has the slash
	switch kind {
	case "?":
		s.kind = Untracked
	case "u":
		s.kind = Unmerged
	case "1": // XY SUBMODULE MODES (commit, index, work tree) OIDS (commit, index) PATH
		s.kind = changeKind(f[0], f[2])
		if f[2] == f[4] && strings.HasPrefix(f[2], "100") {
			s.oid = f[5]
		}
	}
	return s, nil
}

// changeKind tells by the states of the index and the work tree, and by the mode
// that the commit has.
func changeKind(states, mode string) Kind {
	switch {
	case len(states) != 2:
		return Modified
	case states[1] == 'D', states == "D.":
		return Deleted
	case mode == "160000":
		return Submodule
	case states[1] == 'A': // git add --intent-to-add
		return Untracked
	case states[1] == '.':
		return Staged
	}
	return Modified
}
