package source

import (
	"context"
	"strings"
	"testing"
)

// Who asks for the same of one context gets the same listing, however it is asked
// for; a link, an ignore pattern or an added file makes another.
func TestListingIsShared(t *testing.T) {
	repo := newRepo(t, files{"c/src/a": "1", "c/src/d/b": "2", "c/link": "->src", "c/other": "3"})
	files{"c/more": "4"}.write(t, repo)
	s := openSource(t, Options{Dir: repo})
	c := openContext(t, s, "c")
	list := func(c *Context, excludes, follow string) *Listing {
		t.Helper()
		l, err := c.Listing(context.Background(), strings.Fields(excludes), strings.Fields(follow))
		must(t, err)
		return l
	}
	src := list(c, "d", "src")
	for _, follow := range []string{"src", "/src", "src src/d", "src/d/b src"} {
		if list(openContext(t, s, "./c"), "d", follow) != src {
			t.Errorf("following %s makes a listing of its own", follow)
		}
	}
	added, err := c.WithFiles(context.Background(), []string{"more"})
	must(t, err)
	for name, other := range map[string]*Listing{
		"other patterns": list(c, "a", "src"), "other paths": list(c, "d", "other"), "a link": list(c, "d", "link"),
		"all": list(c, "d", ""), "another context": list(openContext(t, s, "."), "d", "src"), "an added file": list(added, "d", "src"),
	} {
		if other == src {
			t.Errorf("%s: the same listing", name)
		}
	}

	made := 0
	for range 2 {
		text := src.Derive(func(entries []Entry) []byte { made++; return []byte(strings.Join(paths(entries), " ")) })
		equal(t, string(text), "src src/a src/d src/d/b")
	}
	equal(t, made, 1)
}

// A new file would be listed where a listing covers its path.
func TestListingCovers(t *testing.T) {
	repo := newRepo(t, files{"src/a": "1", "src/x.log": "2", "link": "->src", "dir/keep.log": "3"})
	s := openSource(t, Options{Dir: repo})
	for _, tt := range []struct{ excludes, follow, covered, not string }{
		{"", "", "src/a new src/new/x", ""},
		{"*.log **/*.log !dir/keep.log", "", "src/a new dir/keep.log", "src/x.log new.log dir/new.log"},
		{"", "src", "src src/a src/new/x", "dir/keep.log new srcs"},
		{"", "link", "link src/new", "dir/new"},
		{"", "s*/a", "src/a", "src/new"},
		{"src", "src dir", "dir/new", "src/a src/new"},
	} {
		l, err := openContext(t, s, ".").Listing(context.Background(), strings.Fields(tt.excludes), strings.Fields(tt.follow))
		must(t, err)
		for _, name := range strings.Fields(tt.covered) {
			if !l.Covers(name) {
				t.Errorf("without %q, following %q: %s is not covered", tt.excludes, tt.follow, name)
			}
		}
		for _, name := range strings.Fields(tt.not) {
			if l.Covers(name) {
				t.Errorf("without %q, following %q: %s is covered", tt.excludes, tt.follow, name)
			}
		}
	}
}
