package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages/chart"
)

// ValuesOptions are values that are given over those of the chart, in the syntax
// of Helm's flags. A relative path starts at the current directory and is read as
// the chart's files are: from the commit, or where giterminism lets it from the
// work tree. An absolute one is read as it is.
type ValuesOptions struct {
	NoDefaults                                   bool // leaves out the chart's own values.yaml
	Files                                        []string
	Set, SetString, SetFile, SetJSON, SetLiteral []string
	// SecretFiles are encrypted values; NoDefaultSecrets leaves out the chart's own.
	SecretFiles      []string
	NoDefaultSecrets bool
}

// paths are the files that the options name, relative to the project; those that
// are given by an absolute path are not among them.
func (v ValuesOptions) paths(plan *planner.Plan) ([]string, error) {
	names := slices.Concat(v.Files, v.SecretFiles)
	for _, set := range v.SetFile {
		names = append(names, chart.FilesOfSet(set)...)
	}
	var paths []string
	for _, name := range names {
		p, err := projectPath(plan, name)
		if err != nil {
			return nil, err
		}
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// read makes the chart package's options, with the files in them.
func (v ValuesOptions) read(plan *planner.Plan) (chart.Values, error) {
	out := chart.Values{
		NoDefaults: v.NoDefaults, NoDefaultSecrets: v.NoDefaultSecrets, Set: v.Set, SetString: v.SetString, SetFile: v.SetFile, SetJSON: v.SetJSON, SetLiteral: v.SetLiteral,
		ReadFile: func(name string) ([]byte, error) {
			data, _, err := readGiven(plan, name)
			return data, err
		},
	}
	var err error
	if out.Files, err = readFiles(plan, v.Files); err == nil {
		out.SecretFiles, err = readFiles(plan, v.SecretFiles)
	}
	return out, err
}

func readFiles(plan *planner.Plan, names []string) (files []chart.File, err error) {
	for _, name := range names {
		data, p, err := readGiven(plan, name)
		if err != nil {
			return nil, err
		}
		files = append(files, chart.File{Name: name, Path: p, Data: data})
	}
	return files, nil
}

// readGiven reads a file that a flag names; p is its path in the project, "" if it
// is absolute.
func readGiven(plan *planner.Plan, name string) (data []byte, p string, err error) {
	if p, err = projectPath(plan, name); err != nil {
		return nil, "", err
	}
	if p == "" {
		data, err = os.ReadFile(name)
	} else {
		data, err = fs.ReadFile(plan.Chart.Files, p)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && p != "":
		return nil, "", &diag.Diagnostic{Message: fmt.Sprintf("no file %s in the commit", p),
			Advice: "commit it, correct the path, allow it in werf-giterminism.yaml (helm.allowUncommittedFiles), or give its absolute path"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", &diag.Diagnostic{Message: "no file " + name}
	case err != nil:
		return nil, "", fmt.Errorf("reading %s: %w", name, err)
	}
	return data, p, nil
}

// projectPath is the path in the project of a file that a flag names; "" if it is
// absolute, and so outside of what the commit decides.
func projectPath(plan *planner.Plan, name string) (string, error) {
	if filepath.IsAbs(name) {
		return "", nil
	}
	if name == "-" || strings.Contains(name, "://") {
		return "", &diag.Diagnostic{Message: fmt.Sprintf("values cannot be read from %q", name), Advice: "give a file of the project, or the absolute path of one outside of it"}
	}
	dir := plan.Source.Dir()
	if dir == "" { // no work tree: the project is the only place there is
		return filepath.ToSlash(filepath.Clean(name)), nil
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	if cwd, err = filepath.EvalSymlinks(cwd); err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	p, err := filepath.Rel(dir, filepath.Join(cwd, name))
	if p = filepath.ToSlash(p); err != nil || !fs.ValidPath(p) {
		return "", &diag.Diagnostic{Message: fmt.Sprintf("%s is outside of the project, so it is not in the commit", name),
			Advice: "give its absolute path to read it all the same"}
	}
	return p, nil
}
