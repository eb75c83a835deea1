package planner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"slipway/planner/giterminism"
	"slipway/planner/source"
)

// overlay opens what the rule's globs allow of dir over its commit.
func overlay(t *testing.T, dir string, globs string) fs.FS {
	t.Helper()
	src, err := source.Open(t.Context(), source.Options{Dir: dir})
	check(t, err)
	t.Cleanup(func() { src.Close() })
	rules, err := giterminism.ParseConfig("werf-giterminism.yaml", []byte("giterminismConfigVersion: 1\nhelm: {allowUncommittedFiles: ["+globs+"]}\n"))
	check(t, err)
	root := openRoot(dir)
	t.Cleanup(func() { root.Close() })
	p := &Project{source: src, rules: rules, workTree: func() *os.Root { return root }}
	return p.files(giterminism.ChartFiles)
}

// The work tree's files are laid over the commit's where they are allowed, files
// over directories and directories over files, too.
func TestAllowed(t *testing.T) {
	committed := files{"c/file": "commit", "c/dir/a": "commit", "c/dir/b": "commit", "c/both/a": "commit", "c/deep/er/a": "commit", "other": "commit"}
	for _, tt := range []struct {
		name, globs string
		gone        string // from the work tree
		work        files
		want        files // "!" does not exist, "/" is a directory
	}{
		{"nothing differs", "c/**", "", nil, files{"c/file": "commit", "c/dir": "/", "c/dir/a": "commit", "c/new": "!"}},
		{"changed", "c/file", "", files{"c/file": "work", "c/dir/a": "work"}, files{"c/file": "work", "c/dir/a": "commit"}},
		{"new", "c/new", "", files{"c/new": "work", "c/other": "work"}, files{"c/new": "work", "c/other": "!"}},
		{"new directory", "\"c/new/*.txt\"", "", files{"c/new/x.txt": "work", "c/new/y": "work", "c/more/y": "work"},
			files{"c/new": "/", "c/new/x.txt": "work", "c/new/y": "!", "c/more": "!", "c/more/y": "!"}},
		{"gone", "c/**", "c/dir", nil, files{"c/dir/a": "commit", "c/dir": "/"}},
		{"file for a directory", "c/dir", "c/dir", files{"c/dir": "work"}, files{"c/dir": "work", "c/dir/a": "!", "c/file": "commit"}},
		{"file for a directory, not allowed", "\"c/dir/?\"", "c/dir", files{"c/dir": "work"}, files{"c/dir": "/", "c/dir/a": "commit"}},
		{"file above the directory", "c/**", "c/deep", files{"c/deep": "work"}, files{"c/deep": "work", "c/deep/er": "!", "c/deep/er/a": "!"}},
		{"directory for a file", "c/**", "c/file", files{"c/file/x": "work"}, files{"c/file": "/", "c/file/x": "work"}},
		{"directory for a file, nothing allowed", "c/other", "c/file", files{"c/file/x": "work"}, files{"c/file": "commit", "c/file/x": "!"}},
		{"directory for a file, one below allowed", "c/file/x", "c/file", files{"c/file/x": "work", "c/file/y": "work"}, files{"c/file": "/", "c/file/x": "work", "c/file/y": "!"}},
		{"everything a file", "c", "c", files{"c": "work"}, files{"c": "work", "c/file": "!", "c/deep/er/a": "!", "other": "commit"}},
		{"git's own", "\"**\"", "", files{"c/.git/config": "x"}, files{".git/HEAD": "!", ".git": "!", "c/.git": "!", "c/.git/config": "!", "c/file": "commit"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := committed.commit(t)
			if tt.gone != "" {
				check(t, os.RemoveAll(filepath.Join(dir, tt.gone)))
			}
			tt.work.write(t, dir)
			fsys := overlay(t, dir, tt.globs)
			var there []string
			for name, want := range tt.want {
				info, err := fs.Stat(fsys, name)
				if want == "!" {
					if !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s is there (%v)", name, err)
					}
					continue
				}
				there = append(there, name)
				if err != nil || info.IsDir() != (want == "/") {
					t.Errorf("%s: %v, %v", name, info, err)
				} else if data, err := fs.ReadFile(fsys, name); want != "/" && string(data) != want {
					t.Errorf("%s is %q (%v), want %q", name, data, err, want)
				}
			}
			check(t, fstest.TestFS(fsys, there...))
		})
	}
}

func TestAllowedOddFiles(t *testing.T) {
	dir := files{"c/a": "commit"}.commit(t)
	for link, target := range map[string]string{"c/loop": "../c", "c/self": "self", "c/out": "/etc/passwd", "c/dangling": "nothing", "c/in": "a"} {
		check(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	check(t, syscall.Mkfifo(filepath.Join(dir, "c/pipe"), 0o600))
	fsys := overlay(t, dir, "\"c/**\"")
	for name, want := range map[string]string{
		"c/loop/loop/a": "", "c/in": "", "c/self": "too many levels", "c/out": "escapes", "c/dangling": "not exist", "c/pipe": "neither a file",
	} {
		_, err := fs.ReadFile(fsys, name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "/c", "../c", "c/", "c//a"} {
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
