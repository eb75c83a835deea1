package planner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"slipway/planner/diag"
	"slipway/planner/giterminism"
	"slipway/planner/source"

	"github.com/moby/patternmatcher/ignorefile"
	"helm.sh/helm/v3/pkg/ignore"
)

// ignoreFiles are the ignore files of a Dockerfile: the first that is there counts.
func ignoreFiles(dockerfile, context string) []string {
	return []string{dockerfile + ".dockerignore", path.Join(context, ".dockerignore")}
}

// ignorePatterns are those of the ignore file that belongs to a Dockerfile: its
// own, else the context's. A pattern that cannot be is a diagnostic.
func (p *Project) ignorePatterns(dockerfile, context string) ([]string, error) {
	for _, name := range ignoreFiles(dockerfile, context) {
		patterns, err := p.ignores.get(name, func() ([]string, error) { return readIgnoreFile(p.files(giterminism.Dockerignore), name) })
		if !errors.Is(err, fs.ErrNotExist) {
			return patterns, err
		}
	}
	return nil, nil
}

func readIgnoreFile(files fs.FS, name string) ([]string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return patterns, checkPatterns(name, text, patterns)
}

// checkPatterns finds the lines whose patterns the matcher does not take.
func checkPatterns(file string, text []byte, patterns []string) error {
	var wrong diag.List
	lines := diag.NewSource(file, text)
	for _, pattern := range patterns {
		err := source.CheckPattern(pattern)
		if err == nil {
			continue
		}
		at := lines.Pos(0, 0)
		for i, line := range strings.Split(string(text), "\n") {
			rest, exception := strings.CutPrefix(pattern, "!") // blanks may follow its mark
			if strings.Contains(line, rest) && strings.HasPrefix(strings.TrimSpace(line), "!") == exception {
				at = lines.Pos(i+1, 1)
				break
			}
		}
		wrong.Add(at.Errorf("the pattern %q cannot be read: %v", pattern, err).
			Advise("see docs.docker.com/build/concepts/context, \"Syntax\"; a backslash takes a character as it is"))
	}
	return wrong.Err()
}

// helmChart tells which files Helm takes for those of a chart.
type helmChart struct {
	files fs.FS
	dir   string
	rules *ignore.Rules // of .helmignore
	left  int           // of the files that are looked at
}

// chartRules reads the chart's .helmignore, and no more of its files than their
// names: to know what its symbolic links lead to. What is wrong with either is
// told when the chart itself is read.
func chartRules(files fs.FS, dir string) *helmChart {
	c := &helmChart{files: files, dir: dir, rules: ignore.Empty(), left: 10_000}
	if text, err := fs.ReadFile(files, path.Join(dir, ignore.HelmIgnore)); err == nil {
		if rules, err := ignore.Parse(bytes.NewReader(text)); err == nil {
			c.rules = rules
		}
	}
	c.rules.AddDefaults()
	c.follow(".")
	return c
}

// follow looks through the symbolic links in a directory of the chart.
func (c *helmChart) follow(dir string) {
	entries, err := fs.ReadDir(c.files, path.Join(c.dir, dir))
	if err != nil {
		return
	}
	for _, e := range entries {
		if c.left--; c.left < 0 {
			return // a link to a directory above itself never ends
		}
		name, isDir := path.Join(dir, e.Name()), e.IsDir()
		if c.ignores(name, true) && (isDir || c.ignores(name, false)) {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := fs.Stat(c.files, path.Join(c.dir, name))
			isDir = err == nil && info.IsDir()
		}
		if isDir && !c.ignores(name, true) {
			c.follow(name)
		}
	}
}

func (c *helmChart) ignores(name string, isDir bool) bool {
	return c.rules.Ignore(name, named{name, isDir})
}

// reads tells whether a file of the project is one of the chart, or would be if it
// were there. A nil chart has none.
func (c *helmChart) reads(name string) bool {
	if c == nil || !inside(name, c.dir) {
		return false
	}
	below := strings.TrimPrefix(name, c.dir+"/")
	if below == ignore.HelmIgnore {
		return true // by whoever reads the chart
	}
	for i, r := range below {
		if r == '/' && c.ignores(below[:i], true) {
			return false
		}
	}
	return !c.ignores(below, false)
}

// named is as much of a file as Helm's rules look at.
type named struct {
	name string
	dir  bool
}

func (n named) Name() string       { return path.Base(n.name) }
func (n named) Size() int64        { return 0 }
func (n named) Mode() fs.FileMode  { return 0 }
func (n named) ModTime() time.Time { return time.Time{} }
func (n named) IsDir() bool        { return n.dir }
func (n named) Sys() any           { return nil }
