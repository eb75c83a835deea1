package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// files is .Files: the project's files at the commit.
type files struct {
	run      *run
	fs       fs.FS
	contents map[string]string
	owner    map[string]string   // content -> a path that has it, for tpl's errors
	matches  map[string][]string // by pattern
	read     map[string]bool
	globs    map[string]bool
}

func newFiles(r *run, fsys fs.FS) *files {
	return &files{
		run: r, fs: fsys,
		contents: map[string]string{},
		owner:    map[string]string{},
		matches:  map[string][]string{},
		read:     map[string]bool{},
		globs:    map[string]bool{},
	}
}

// String is what is printed for .Files, instead of an address in memory.
func (f *files) String() string { return ".Files" }

// MarshalJSON is for a context that is printed as a whole.
func (f *files) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

// Get is a file's content.
func (f *files) Get(name string) (string, error) {
	name, err := clean(name)
	if err != nil {
		return "", err
	}
	text, err := f.content(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &mistake{
			message: fmt.Sprintf("the file %q is not in the project at this commit", name),
			advice:  "paths are relative to the project; a file that exists must also be committed",
		}
	}
	if err != nil {
		if info, statErr := fs.Stat(f.fs, name); statErr == nil && info.IsDir() {
			return "", &mistake{message: fmt.Sprintf("%q is a directory", name),
				advice: fmt.Sprintf("read its files with .Files.Glob %q", path.Join(name, "*"))}
		}
		return "", &projectError{err}
	}
	return text, nil
}

// Glob is the files that match a pattern (see Match), by path.
func (f *files) Glob(pattern string) (map[string]any, error) {
	names, err := f.match(pattern)
	if err != nil {
		return nil, err
	}
	// A new map each time: templates set and merge into it.
	contents := make(map[string]any, len(names))
	for _, name := range names {
		text, err := f.content(name)
		if err != nil {
			return nil, &projectError{err}
		}
		contents[name] = text
	}
	return contents, nil
}

// Exists tells whether there is a file or a directory of the name.
func (f *files) Exists(name string) (bool, error) {
	info, err := f.stat(name)
	return info != nil, err
}

// IsDir tells whether there is a directory of the name.
func (f *files) IsDir(name string) (bool, error) {
	info, err := f.stat(name)
	return info != nil && info.IsDir(), err
}

func (f *files) stat(name string) (fs.FileInfo, error) {
	name, err := clean(name)
	if err != nil {
		return nil, err
	}
	if err := f.run.spend(callWork); err != nil || f.fs == nil {
		return nil, err
	}
	f.read[name] = true
	info, err := fs.Stat(f.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &projectError{err}
	}
	return info, nil
}

// content reads a file, once in a run.
func (f *files) content(name string) (string, error) {
	text, ok := f.contents[name]
	if !ok {
		f.read[name] = true
		if f.fs == nil {
			return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		data, err := fs.ReadFile(f.fs, name)
		if err != nil {
			return "", err
		}
		text = string(data)
		f.contents[name], f.owner[text] = text, name
	}
	return text, f.run.spend(callWork + len(text))
}

// match lists the regular files, and the links to such, that match a pattern.
func (f *files) match(pattern string) ([]string, error) {
	pattern = strings.TrimPrefix(path.Clean("/"+pattern), "/")
	if names, ok := f.matches[pattern]; ok {
		return names, f.run.spend(callWork + len(names))
	}
	re, base, err := compileGlob(pattern)
	if err != nil {
		return nil, &mistake{message: fmt.Sprintf("the pattern %q is wrong: %v", pattern, err)}
	}
	f.globs[pattern] = true
	depth, any := strings.Count(pattern, "/"), strings.Contains(pattern, "**")
	var names []string
	if f.fs == nil {
		return nil, nil
	}
	err = fs.WalkDir(f.fs, base, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == base && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if err := f.run.spend(callWork); err != nil {
			return err
		}
		if d.IsDir() && !any && name != "." && strings.Count(name, "/") >= depth {
			return fs.SkipDir // what is in it is deeper than the pattern
		}
		if d.IsDir() || !re.MatchString(name) {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			info, err := fs.Stat(f.fs, name)
			if err != nil {
				return err
			}
			if info.IsDir() {
				return nil
			}
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, &projectError{err}
	}
	slices.Sort(names)
	f.matches[pattern] = names
	return names, nil
}

// clean is a path of the project in the form that fs.FS wants. As the reference
// does, it takes a leading slash for the project's directory.
func clean(name string) (string, error) {
	c := path.Clean(strings.TrimLeft(name, "/"))
	if c == ".." || strings.HasPrefix(c, "../") || strings.ContainsRune(c, 0) {
		return "", &mistake{message: fmt.Sprintf("the path %q leads out of the project", name),
			advice: "paths are relative to the project's directory"}
	}
	return c, nil
}

// commit is .Commit. Its fields are methods, so that only who uses it asks.
type commit struct {
	ask   func() (Commit, error)
	asked bool
	value Commit
	err   error
}

type commitDate struct {
	Human string
	Unix  int64
}

func (c *commit) get() (Commit, error) {
	if !c.asked {
		c.asked = true
		if c.err = errors.New("there is no commit here"); c.ask != nil {
			c.value, c.err = c.ask()
		}
		if c.err != nil {
			c.err = &projectError{c.err}
		}
	}
	return c.value, c.err
}

// Hash is .Commit.Hash.
func (c *commit) Hash() (string, error) {
	v, err := c.get()
	return v.Hash, err
}

// Date is .Commit.Date.
func (c *commit) Date() (commitDate, error) {
	v, err := c.get()
	return commitDate{v.Human, v.Unix}, err
}

// String is what is printed for .Commit.
func (c *commit) String() string {
	v, _ := c.get()
	return v.Hash
}

// MarshalJSON is for toYaml and toJson.
func (c *commit) MarshalJSON() ([]byte, error) {
	v, err := c.get()
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"Hash": v.Hash, "Date": commitDate{v.Human, v.Unix}})
}
