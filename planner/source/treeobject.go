package source

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// entry is one line of a tree object.
type entry struct {
	name string
	mode fs.FileMode
	oid  string
}

// parseTree reads a tree object: for each entry its mode in octal digits, a blank,
// its name, a NUL, and its object id in bytes, of which idLength is the length in
// hexadecimal. The entries are sorted by name, which is not quite git's order.
func parseTree(object string, idLength int) ([]entry, error) {
	// Counted first: a large tree is then two allocations.
	n := 0
	for rest := object; rest != ""; n++ {
		_, after, _ := strings.Cut(rest, "\x00")
		rest = after[min(len(after), idLength/2):]
	}
	entries := make([]entry, 0, n)
	var ids strings.Builder
	ids.Grow(n * idLength)
	id := make([]byte, 0, idLength)
	for rest := object; rest != ""; {
		head, after, ok := strings.Cut(rest, "\x00")
		mode, name, ok2 := strings.Cut(head, " ")
		if !ok || !ok2 || len(after) < idLength/2 {
			return nil, errors.New("a tree of the commit is malformed")
		}
		// git refuses to make such a tree, but not to hand it on.
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return nil, fmt.Errorf("invalid name %q: the commit is malformed", name)
		}
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return nil, fmt.Errorf("unknown mode %q of %q", mode, name)
		}
		id = hex.AppendEncode(id[:0], []byte(after[:idLength/2]))
		ids.Write(id)
		entries = append(entries, entry{name: name, mode: fileMode(m), oid: ids.String()[ids.Len()-idLength:]})
		rest = after[idLength/2:]
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(entries); i++ {
		if entries[i].name == entries[i-1].name {
			return nil, fmt.Errorf("%q is there twice: the commit is malformed", entries[i].name)
		}
	}
	return entries, nil
}

// fileMode is what git makes of a mode (canon_mode in its object.h): old histories
// have others than it writes now, with more permissions and leading zeros.
func fileMode(mode uint64) fs.FileMode {
	switch mode & 0o170000 {
	case 0o040000:
		return fs.ModeDir | 0o755
	case 0o100000:
		if mode&0o100 != 0 {
			return 0o755
		}
		return 0o644
	case 0o120000:
		return fs.ModeSymlink | 0o777
	}
	return gitlink
}

// lister reads the tree objects below one, those of a level in one go.
type lister struct {
	*objects
	known map[string][]entry // by object id
}

// top is the tree of root, which is a commit or a tree, in the directory prefix.
func (l *lister) top(root, prefix string) ([]entry, error) {
	var commit string
	err := l.each([]string{root}, func(p *process, oid string) error {
		kind, object, err := p.object(oid)
		switch {
		case err != nil:
			return err
		case kind == "commit":
			line, _, _ := strings.Cut(object, "\n")
			if commit, _ = strings.CutPrefix(line, "tree "); len(commit) != l.idLength {
				return objectError(oid, errors.New("it names no tree"))
			}
			return nil
		}
		return l.take(oid, kind, object)
	})
	if err == nil && commit != "" {
		root = commit
		err = l.read([]string{root})
	}
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(prefix, "/") {
		if name == "" {
			continue
		}
		entries := l.known[root]
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name })
		if i < 0 || !entries[i].mode.IsDir() {
			return nil, ErrNotCommitted
		}
		root = entries[i].oid
		if err := l.read([]string{root}); err != nil {
			return nil, err
		}
	}
	return l.known[root], nil
}

// read reads trees.
func (l *lister) read(oids []string) error {
	return l.each(oids, func(p *process, oid string) error {
		kind, object, err := p.object(oid)
		if err != nil {
			return err
		}
		return l.take(oid, kind, object)
	})
}

func (l *lister) take(oid, kind, object string) error {
	if kind != "tree" {
		return objectError(oid, fmt.Errorf("it is a %s, not a tree", kind))
	}
	entries, err := parseTree(object, l.idLength)
	if err != nil {
		return objectError(oid, err)
	}
	l.known[oid] = entries
	return nil
}

// below reads all trees that entries lead to.
func (l *lister) below(entries []entry) error {
	level := [][]entry{entries}
	for {
		var oids []string
		for _, entries := range level {
			for _, e := range entries {
				if _, ok := l.known[e.oid]; !ok && e.mode.IsDir() {
					l.known[e.oid] = nil
					oids = append(oids, e.oid)
				}
			}
		}
		if len(oids) == 0 {
			return nil
		}
		if err := l.read(oids); err != nil {
			return err
		}
		level = level[:0]
		for _, oid := range oids {
			level = append(level, l.known[oid])
		}
	}
}

// object reads the whole of an answer.
func (p *process) object(oid string) (kind, object string, err error) {
	kind, size, err := p.head(oid)
	if err != nil {
		return "", "", err
	}
	data := make([]byte, size+1) // and the line feed that ends an answer
	if _, err := io.ReadFull(p.out, data); err != nil {
		return "", "", objectError(oid, p.stop(err))
	}
	return kind, string(data[:size]), nil
}

// list reads the repository's tree.
func (r *repository) list() error {
	l := &lister{r.objects, map[string][]entry{}}
	top, err := l.top(r.root, r.prefix)
	if err == nil {
		err = l.below(top)
	}
	if err != nil {
		return err
	}
	b := builder{lister: l, repo: r}
	n, size := b.count(top, 0)
	b.nodes = make(tree, 0, 1+n)
	b.paths.Grow(size)
	b.nodes = append(b.nodes, node{Entry: Entry{Path: ".", Mode: fs.ModeDir | 0o755}, repo: r})
	b.add(top, "")
	b.nodes[0].below = len(b.nodes) - 1
	r.tree = b.nodes
	return nil
}

// builder puts a tree together from its objects. All paths are parts of one
// string.
type builder struct {
	*lister
	repo  *repository
	nodes tree
	paths strings.Builder
}

// count is how many nodes there are below a directory, and how long their paths are
// together; its own is as long as prefix, with the slash.
func (b *builder) count(entries []entry, prefix int) (n, size int) {
	n = len(entries)
	for _, e := range entries {
		size += prefix + len(e.name)
		if e.mode.IsDir() {
			below, paths := b.count(b.known[e.oid], prefix+len(e.name)+1)
			n, size = n+below, size+paths
		}
	}
	return n, size
}

// add adds the entries of the directory at a path; "" is the top.
func (b *builder) add(entries []entry, dir string) {
	for _, e := range entries {
		start := b.paths.Len()
		if dir != "" {
			b.paths.WriteString(dir)
			b.paths.WriteByte('/')
		}
		b.paths.WriteString(e.name)
		path := b.paths.String()[start:]
		i := len(b.nodes)
		b.nodes = append(b.nodes, node{Entry: Entry{Path: path, Mode: e.mode, OID: e.oid}, repo: b.repo})
		if e.mode.IsDir() {
			b.add(b.known[e.oid], path)
			b.nodes[i].below = len(b.nodes) - 1 - i
		}
	}
}
