package source

import (
	"io/fs"
	"path"
	"slices"
	"sort"
)

// gitlink is the mode of a submodule that was not entered yet: git knows a commit
// of another repository there, and no files. Nobody but this package gets to see
// it: it is told as a directory, or not at all.
const gitlink = fs.ModeIrregular

// Entry is a file, directory or symbolic link of a tree.
type Entry struct {
	Path string      // slash-separated, relative to the root of its tree
	Mode fs.FileMode // 0644, 0755, ModeDir|0755 or ModeSymlink|0777
	OID  string      // git's object id in hexadecimal; "" for a directory that is not in the commit, or is a submodule
	Link string      // target of a symbolic link; filled in by Context.Listing only
}

// node is an entry with its extent: below counts the entries under a directory,
// which follow it immediately.
type node struct {
	Entry
	below int
	repo  *repository // that has the object
}

// mode is what is told of the node's mode: a submodule is a directory.
func (n *node) mode() fs.FileMode {
	if n.Mode == gitlink {
		return fs.ModeDir | 0o755
	}
	return n.Mode
}

// tree holds the nodes in the order in which filepath.WalkDir meets them, the
// root (".") first. A whole sub-tree is thus one slice.
type tree []node

// comparePath orders paths by component: "a" < "a/b" < "a-b", where git's
// order, and that of plain strings, is "a" < "a-b" < "a/b".
func comparePath(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	switch {
	case i == n:
		return len(a) - len(b)
	case a[i] == '/':
		return -1
	case b[i] == '/':
		return 1
	}
	return int(a[i]) - int(b[i])
}

// newTree sorts the nodes and finds their extents. The paths are clean, unique
// and come with all their parents.
func newTree(nodes []node) tree {
	t := append(make(tree, 0, len(nodes)+1), node{Entry: Entry{Path: ".", Mode: fs.ModeDir | 0o755}})
	t = append(t, nodes...)
	slices.SortFunc(t[1:], func(a, b node) int { return comparePath(a.Path, b.Path) })
	t[0].below = len(nodes)
	var open []int // directories whose end was not met yet
	for i := 1; i <= len(t); i++ {
		for len(open) > 0 {
			last := open[len(open)-1]
			if i < len(t) && inside(t[i].Path, t[last].Path) {
				break
			}
			t[last].below = i - last - 1
			open = open[:len(open)-1]
		}
		if i < len(t) && t[i].Mode.IsDir() {
			open = append(open, i)
		}
	}
	return t
}

// inside tells whether p lies strictly under dir.
func inside(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// find looks a clean path up.
func (t tree) find(name string) (int, bool) {
	if name == "." {
		return 0, true
	}
	i, ok := sort.Find(len(t)-1, func(i int) int { return comparePath(name, t[i+1].Path) })
	return i + 1, ok
}

// sub is the tree under a directory.
func (t tree) sub(i int) tree {
	if i == 0 {
		return t
	}
	s := slices.Clone(t[i : i+1+t[i].below])
	cut := len(s[0].Path) + 1
	s[0].Path = "."
	for k := range s[1:] {
		s[k+1].Path = s[k+1].Path[cut:]
	}
	return s
}

// graft puts the tree of a submodule in the place of its link.
func (t tree) graft(i int, sub tree) tree {
	out := make(tree, 0, len(t)+len(sub)-1)
	out = append(out, t[:i+1]...)
	top := &out[i]
	top.Mode, top.OID, top.repo = fs.ModeDir|0o755, "", sub[0].repo
	for _, n := range sub[1:] {
		n.Path = top.Path + "/" + n.Path
		out = append(out, n)
	}
	out = append(out, t[i+1:]...)
	for dir := top.Path; ; dir = path.Dir(dir) {
		k, _ := out.find(dir)
		out[k].below += len(sub) - 1
		if dir == "." {
			return out
		}
	}
}
