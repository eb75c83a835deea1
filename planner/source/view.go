package source

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// growing is a tree into which the trees of submodules are put when something in
// them is first wanted. Who reads takes a view of it, which stays as it is.
type growing struct {
	source *Source
	dir    string // of the tree's root, relative to the project; "." is the project
	mu     sync.Mutex
	tree   tree // replaced, never changed

	looked sync.Once
	whole  bool // there are no submodules, so it does not grow
}

// isWhole tells whether there is nothing to enter, without a look at every entry
// each time.
func (g *growing) isWhole() bool {
	g.looked.Do(func() {
		g.whole = !slices.ContainsFunc(g.view().tree, func(n node) bool { return n.Mode == gitlink })
	})
	return g.whole
}

func (g *growing) view() view {
	g.mu.Lock()
	defer g.mu.Unlock()
	return view{tree: g.tree, growing: g, sized: true}
}

// enter puts the submodule at a path in, unless somebody was faster.
func (g *growing) enter(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.tree.find(name)
	if !ok || g.tree[i].Mode != gitlink {
		return nil
	}
	sub, err := g.source.submodule(path.Join(g.dir, name), g.tree[i])
	if err != nil {
		return err
	}
	g.tree = g.tree.graft(i, sub)
	return nil
}

// view is a tree as it was at one time, with the means to read what is in it.
type view struct {
	tree
	growing *growing
	sized   bool // whether a file's information has its size, at the price of asking git
}

// enter is the node i and a view in which its entries are known, if it is a
// submodule.
func (v view) enter(i int) (view, int, error) {
	name := v.tree[i].Path
	if v.tree[i].Mode != gitlink {
		return v, i, nil
	}
	if err := v.growing.enter(name); err != nil {
		return v, i, err
	}
	v.tree = v.growing.view().tree
	i, _ = v.find(name)
	return v, i, nil
}

// isDir tells whether a node is a directory, an unknown submodule included.
func (v view) isDir(i int) bool { return v.tree[i].Mode.IsDir() || v.tree[i].Mode == gitlink }

// reach looks a clean path up, entering the submodules on its way. Symbolic links
// are not followed.
func (v view) reach(name string) (_ view, i int, ok bool, err error) {
	for {
		if i, ok = v.find(name); ok {
			return v, i, true, nil
		}
		above := path.Dir(name)
		for i, ok = v.find(above); !ok && above != path.Dir(above); i, ok = v.find(above) {
			above = path.Dir(above)
		}
		if !ok || v.tree[i].Mode != gitlink {
			return v, 0, false, nil
		}
		if v, _, err = v.enter(i); err != nil {
			return v, 0, false, err
		}
	}
}

// resolve finds the node that name leads to, following symbolic links on the way
// and, if last is set, at its end, and entering the submodules on its way.
func (v view) resolve(name string, last bool) (view, int, error) {
	r := resolution{view: v, at: ".", rest: name}
	i, err := r.run(last)
	if len(r.links) > 0 {
		v.growing.source.follow(v.growing, name, path.Join(r.at, r.rest), r.links)
	}
	return r.view, i, err
}

// resolution is a path on its way through the tree.
type resolution struct {
	view
	at, rest string   // where it is, free of links, and what is still to go
	links    []string // that were followed
}

func (r *resolution) run(last bool) (int, error) {
	for r.rest != "" {
		part, rest, _ := strings.Cut(r.rest, "/")
		switch part {
		case "", ".":
			r.rest = rest
			continue
		case "..":
			if r.at == "." {
				return 0, ErrLinkEscapes
			}
			r.at, r.rest = path.Dir(r.at), rest
			continue
		}
		next := path.Join(r.at, part)
		i, ok := r.find(next)
		if !ok {
			return 0, fs.ErrNotExist
		}
		more := strings.Trim(rest, "/.") != "" // the end names something below
		switch n := r.tree[i]; {
		case n.Mode&fs.ModeSymlink != 0 && (rest != "" || last):
			link, err := n.repo.link(n.OID)
			switch {
			case err != nil:
				return 0, err
			case path.IsAbs(link):
				return 0, fmt.Errorf("%q -> %q: %w", next, link, ErrLinkEscapes)
			case len(r.links) == 40: // as Linux does
				return 0, errLinkLoop
			}
			r.links = append(r.links, next)
			r.rest = link + "/" + rest
			continue
		case n.Mode == gitlink && more:
			var err error
			if r.view, _, err = r.enter(i); err != nil {
				return 0, err
			}
		case !r.isDir(i) && more:
			return 0, fmt.Errorf("%q is not a directory: %w", next, fs.ErrNotExist)
		}
		r.at, r.rest = next, rest
	}
	i, ok := r.find(r.at)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return i, nil
}
