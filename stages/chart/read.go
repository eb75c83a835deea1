package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/ignore"
)

// maxFiles bounds the walk: a symbolic link to a directory above itself never
// ends, and no chart comes near.
const maxFiles = 10_000

// example is a template that a new chart can begin with.
const example = `apiVersion: v1
kind: Pod
metadata:
  name: myapp
spec:
  containers:
    - name: myapp
      image: {{ $.Values.werf.image.myapp }}
`

// utf8BOM is dropped from the start of files, as Helm does.
var utf8BOM = []byte{0xEF, 0xBB, 0xBF}

// readFiles reads the files of the chart in dir, by their paths in it.
func readFiles(fsys fs.FS, dir string) (map[string][]byte, error) {
	r := &reader{fsys: fsys, dir: dir, rules: ignore.Empty(), files: map[string][]byte{}}
	if err := r.readRules(); err != nil {
		return nil, err
	}
	if err := r.readDir("."); err != nil {
		return nil, err
	}
	if len(r.files) == 0 {
		return nil, noChart(dir)
	}
	return r.files, nil
}

func noChart(dir string) *Error {
	e := &Error{File: dir, Message: "the project has no chart: there are no files in this directory"}
	return e.advise("create and commit %s, for example:\n\n%s",
		path.Join(dir, "templates/myapp.yaml"), "  "+strings.ReplaceAll(strings.TrimSpace(example), "\n", "\n  "))
}

type reader struct {
	fsys  fs.FS
	dir   string
	rules *ignore.Rules
	files map[string][]byte
	seen  int
}

func (r *reader) readRules() error {
	name := path.Join(r.dir, ignore.HelmIgnore)
	data, err := fs.ReadFile(r.fsys, name)
	if err == nil {
		if r.rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return &Error{File: name, Message: err.Error()}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	r.rules.AddDefaults()
	return nil
}

// readDir reads what is under the directory name of the chart. fs.WalkDir is of
// no use here: it does not enter directories behind symbolic links.
func (r *reader) readDir(name string) error {
	entries, err := fs.ReadDir(r.fsys, path.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) && name == "." {
		return noChart(r.dir)
	}
	if err != nil {
		return fmt.Errorf("reading the chart's directory %s: %w", path.Join(r.dir, name), err)
	}
	for _, entry := range entries {
		if err := r.readEntry(path.Join(name, entry.Name()), entry); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readEntry(name string, entry fs.DirEntry) error {
	full := path.Join(r.dir, name)
	if r.seen++; r.seen > maxFiles {
		return &Error{File: full, Message: fmt.Sprintf("the chart has more than %d files", maxFiles),
			Advice: "is there a symbolic link to a directory above itself?"}
	}
	info, err := entry.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = fs.Stat(r.fsys, full)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{File: full, Message: "the symbolic link leads nowhere"}
	case err != nil:
		return fmt.Errorf("reading the chart's file %s: %w", full, err)
	case r.rules.Ignore(name, info):
		return nil
	case info.IsDir():
		return r.readDir(name)
	case !info.Mode().IsRegular():
		return &Error{File: full, Message: "not a regular file, and a chart can hold no other",
			Advice: "remove it or list it in " + path.Join(r.dir, ignore.HelmIgnore)}
	case strings.Contains(name, `\`):
		return &Error{File: full, Message: "Helm takes no files with a backslash in the name"}
	}
	data, err := fs.ReadFile(r.fsys, full)
	if err != nil {
		return fmt.Errorf("reading the chart's file %s: %w", full, err)
	}
	// Not by info.Size: with git's objects that is another question to ask.
	if int64(len(data)) > loader.MaxDecompressedFileSize {
		return &Error{File: full, Message: fmt.Sprintf("Helm takes no files of more than %d bytes, this one has %d", loader.MaxDecompressedFileSize, len(data)),
			Advice: "remove it or list it in " + path.Join(r.dir, ignore.HelmIgnore)}
	}
	r.files[name] = bytes.TrimPrefix(data, utf8BOM)
	return nil
}
