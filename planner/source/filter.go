package source

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/tonistiigi/fsutil"
)

// Follow is where followed paths of the context lead: the paths themselves, and
// behind the symbolic links on their way what those lead to; nil is everything. A
// followed path may be a pattern.
func (c *Context) Follow(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	return fsutil.FollowLinks(c, paths)
}

// CheckPattern is what Filter finds wrong with a pattern, one of exclusion (!) too,
// perhaps only when it first meets a file.
func CheckPattern(pattern string) error {
	// Matching compiles a pattern, which making a matcher does not; that of an
	// exception is only matched with what another pattern has matched.
	_, err := patternmatcher.MatchesOrParentMatches("x", []string{"x", pattern})
	if err == nil && !strings.HasPrefix(pattern, "!") {
		_, err = patternmatcher.MatchesOrParentMatches("x", []string{pattern})
	}
	return err
}

// enterSubmodules enters the submodules of which the filter with these patterns
// lets anything through.
func (c *Context) enterSubmodules(excludes, followPaths []string) error {
	if c.tree.isWhole() {
		return nil
	}
	includes, err := c.Follow(followPaths)
	if err != nil {
		return err
	}
	v := c.view() // links may have led into a submodule
	for i := 0; i < len(v.tree); i++ {
		if v.tree[i].Mode != gitlink || !mayKeep(v.tree[i].Path, includes, excludes) {
			continue
		}
		if v, i, err = v.enter(i); err != nil { // its own submodules follow
			return err
		}
	}
	return nil
}

// mayKeep tells whether a filter with these patterns can keep anything of a
// directory. It errs on the side of yes.
func mayKeep(dir string, includes, excludes []string) bool {
	if len(includes) > 0 && !reachInto(dir, includes) {
		return false
	}
	ignored, err := patternmatcher.MatchesOrParentMatches(dir, excludes)
	if err != nil || !ignored {
		return true
	}
	var exceptions []string
	for _, p := range excludes {
		if p, is := strings.CutPrefix(strings.TrimSpace(p), "!"); is {
			exceptions = append(exceptions, p)
		}
	}
	return reachInto(dir, exceptions)
}

// reachInto tells whether one of the patterns can match a directory, something
// above it or something in it: whether as much of the pattern as the directory is
// deep matches it. What follows ** in a pattern can be any depth.
func reachInto(dir string, patterns []string) bool {
	depth := strings.Count(dir, "/") + 1
	return slices.ContainsFunc(patterns, func(p string) bool {
		parts := strings.Split(strings.TrimPrefix(path.Clean(strings.TrimSpace(p)), "/"), "/")
		parts = parts[:min(depth, len(parts))]
		if k := slices.IndexFunc(parts, func(part string) bool { return strings.Contains(part, "**") }); k >= 0 {
			parts = append(parts[:k:k], "**")
		}
		matches, err := patternmatcher.MatchesOrParentMatches(dir, []string{strings.Join(parts, "/")})
		return matches || err != nil
	})
}
