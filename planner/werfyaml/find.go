package werfyaml

import (
	"errors"
	"fmt"
	"io/fs"

	"slipway/planner/diag"
)

// FileNames are the names of the configuration; the first that exists is read.
var FileNames = []string{"werf.yaml", "werf.yml"}

const fileExample = metaExample + "\n---\nimage: myapp\ndockerfile: Dockerfile"

// Find is the name in fsys, the project directory, of the configuration: the
// override (the --config flag) when that is not empty, else the first of
// FileNames that exists. That there is none is a diagnostic.
func Find(fsys fs.FS, override string) (string, error) {
	if override != "" {
		return findOverride(fsys, override)
	}
	for _, name := range FileNames {
		if found, err := isFile(fsys, name); err != nil {
			return "", err
		} else if found {
			return name, nil
		}
	}
	d := &diag.Diagnostic{Message: "there is neither werf.yaml nor werf.yml in the project directory"}
	return "", d.Advise("create and commit werf.yaml:\n\n%s", indent(fileExample))
}

func findOverride(fsys fs.FS, override string) (string, error) {
	name, err := cleanPath(override, "the project directory")
	if err == nil && leaves(name) {
		err = fmt.Errorf("leaves the project directory: %q", override)
	}
	if err != nil {
		return "", &diag.Diagnostic{Message: "--config " + err.Error()}
	}
	if found, err := isFile(fsys, name); err != nil {
		return "", err
	} else if !found {
		d := &diag.Diagnostic{Message: fmt.Sprintf("--config: there is no %s in the project directory", name)}
		return "", d.Advise("commit it, or give another path, relative to the project directory")
	}
	return name, nil
}

// isFile tells whether there is such a file. A directory in its place is a
// diagnostic.
func isFile(fsys fs.FS, name string) (bool, error) {
	switch info, err := fs.Stat(fsys, name); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for %s: %w", name, err)
	case info.IsDir():
		return false, &diag.Diagnostic{Message: name + " is a directory"}
	}
	return true, nil
}
