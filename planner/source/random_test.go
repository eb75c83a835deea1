package source

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

var names = []string{"a", "b", "a.b", "a-b", "ab", "A", "x y", "é", ".git-like", "c.go", "d.md", "a0"}

// randomTree makes files in nested directories, and links between them.
func randomTree(r *rand.Rand) files {
	tree := files{}
	dirs := []string{"."}
	for range 4 + r.IntN(30) {
		p := path.Join(dirs[r.IntN(len(dirs))], names[r.IntN(len(names))])
		if taken(tree, p) {
			continue
		}
		switch r.IntN(8) {
		case 0, 1, 2:
			dirs = append(dirs, p)
			tree[path.Join(p, names[r.IntN(len(names))])] = "in dir"
		case 3, 4:
			target := randomPath(r, 3)
			if r.IntN(3) == 0 {
				target = strings.Repeat("../", r.IntN(4)) + target
			} else if r.IntN(4) == 0 {
				target = "/" + target
			}
			tree[p] = "->" + target
		case 5:
			tree[p] = "x:exec"
		default:
			tree[p] = strings.Repeat("z", r.IntN(100))
		}
	}
	return tree
}

// taken tells whether p, or a file above or below it, is in the tree.
func taken(tree files, p string) bool {
	for have := range tree {
		if have == p || inside(have, p) || inside(p, have) {
			return true
		}
	}
	return false
}

func randomPath(r *rand.Rand, depth int) string {
	parts := make([]string, 1+r.IntN(depth))
	for i := range parts {
		parts[i] = names[r.IntN(len(names))]
	}
	return path.Join(parts...)
}

// randomPatterns makes patterns as .dockerignore (with exceptions) or COPY (without) have them.
func randomPatterns(r *rand.Rand, exceptions bool) (out []string) {
	for range r.IntN(4) {
		p := randomPath(r, 3)
		switch r.IntN(7) {
		case 0:
			p = "*"
		case 1:
			p = path.Join(path.Dir(p), "*")
		case 2:
			p = path.Join(path.Dir(p), "a*")
		case 3:
			if exceptions {
				p = "**/" + p
			} else {
				p = "/" + p
			}
		case 4:
			p = path.Join(path.Dir(p), "?", path.Base(p))
		}
		if exceptions && len(out) > 0 && r.IntN(3) == 0 {
			p = "!" + p
		}
		out = append(out, p)
	}
	return out
}

// TestRandomListings compares listings to what BuildKit's filter makes of a
// checkout, for random trees and patterns.
func TestRandomListings(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 1))
		tree := randomTree(r)
		repo := newRepo(t, tree)
		dir := checkout(t, repo)
		c := openContext(t, openSource(t, Options{Dir: repo}), ".")
		sameAsCheckout(t, c, dir)
		disk, err := fsutil.NewFS(dir)
		must(t, err)
		for range 60 {
			excludes, follow := randomPatterns(r, true), randomPatterns(r, false)
			want, wantErr := describe(disk, excludes, follow)
			list, err := c.Listing(context.Background(), excludes, follow)
			var got []string
			if err == nil {
				for _, e := range list.Entries {
					got = append(got, fmt.Sprintln(e.Path, e.Mode.Type(), e.Mode&0o100 != 0, e.Link))
				}
			}
			if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) {
				t.Fatalf("seed %d, tree %q\nexcludes %q, follow %q\ngot  %q, %v\nwant %q, %v", seed, tree, excludes, follow, got, err, want, wantErr)
			}
		}
	}
}

// TestRandomCovers compares what a listing says of files that are not committed
// with the listing once they are.
func TestRandomCovers(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 2))
		tree := randomTree(r)
		before, added := files{}, []string{}
		for _, p := range slices.Sorted(maps.Keys(tree)) {
			if strings.HasPrefix(tree[p], "->") || r.IntN(2) == 0 {
				before[p] = tree[p]
			} else {
				added = append(added, p)
			}
		}
		was := openContext(t, openSource(t, Options{Dir: newRepo(t, before)}), ".")
		is := openContext(t, openSource(t, Options{Dir: newRepo(t, tree)}), ".")
		for range 100 {
			excludes, follow := randomPatterns(r, true), randomPatterns(r, false)
			listed, err := is.Listing(context.Background(), excludes, follow)
			must(t, err)
			listing, err := was.Listing(context.Background(), excludes, follow)
			must(t, err)
			for _, p := range added {
				if got, want := listing.Covers(p), slices.Contains(paths(listed.Entries), p); got != want {
					t.Errorf("seed %d, tree %q, added %q\nexcludes %q, follow %q\n%q is covered: %v, and read once it is there: %v", seed, tree, added, excludes, follow, p, got, want)
				}
			}
		}
	}
}

// describe walks a filtered directory as the client of BuildKit does.
func describe(f fsutil.FS, excludes, follow []string) (out []string, err error) {
	f, err = fsutil.NewFilterFS(f, &fsutil.FilterOpt{ExcludePatterns: excludes, FollowPaths: follow})
	if err != nil {
		return nil, err
	}
	err = f.Walk(context.Background(), "/", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		out = append(out, fmt.Sprintln(p, fi.Mode().Type(), fi.Mode()&0o100 != 0, fi.Sys().(*types.Stat).Linkname))
		return nil
	})
	return out, err
}
