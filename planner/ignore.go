package planner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"slipway/planner/diag"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignorePatterns reads the ignore file that belongs to a Dockerfile: its own,
// else the context's. A pattern that cannot be is a diagnostic.
func ignorePatterns(files fs.FS, dockerfile, context string) ([]string, error) {
	for _, name := range []string{dockerfile + ".dockerignore", path.Join(context, ".dockerignore")} {
		text, err := fs.ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		return patterns, checkPatterns(name, text, patterns)
	}
	return nil, nil
}

// checkPatterns finds the lines whose patterns the matcher does not take.
func checkPatterns(file string, text []byte, patterns []string) error {
	var wrong diag.List
	source := diag.NewSource(file, text)
	for _, pattern := range patterns {
		// Matching parses a pattern; New alone does not.
		_, err := patternmatcher.MatchesOrParentMatches("x", []string{pattern})
		if err == nil {
			continue
		}
		at := source.Pos(0, 0)
		for i, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, strings.TrimPrefix(pattern, "!")) {
				at = source.Pos(i+1, 1)
				break
			}
		}
		wrong.Add(at.Errorf("the pattern %q cannot be read: %v", pattern, err).
			Advise("see docs.docker.com/build/concepts/context, \"Syntax\"; a backslash takes a character as it is"))
	}
	return wrong.Err()
}
