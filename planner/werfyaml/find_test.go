package werfyaml

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"slipway/planner/diag"
)

func TestFind(t *testing.T) {
	file := &fstest.MapFile{}
	tests := []struct {
		name     string
		files    fstest.MapFS
		override string
		want     string
		err      string
	}{
		{"werf.yaml", fstest.MapFS{"werf.yaml": file}, "", "werf.yaml", ""},
		{"werf.yml", fstest.MapFS{"werf.yml": file}, "", "werf.yml", ""},
		{"both", fstest.MapFS{"werf.yml": file, "werf.yaml": file}, "", "werf.yaml", ""},
		{"neither", fstest.MapFS{"werf.yaml.old": file}, "", "",
			"there is neither werf.yaml nor werf.yml in the project directory\n" +
				"  create and commit werf.yaml:\n\n" +
				"    project: myproject\n    configVersion: 1\n    ---\n    image: myapp\n    dockerfile: Dockerfile"},
		{"a directory", fstest.MapFS{"werf.yaml/x": file}, "", "", "werf.yaml is a directory"},
		{"override", fstest.MapFS{"ci/werf.yaml": file, "werf.yaml": file}, "./ci//werf.yaml", "ci/werf.yaml", ""},
		{"no override", fstest.MapFS{"werf.yaml": file}, "ci/werf.yaml", "",
			"--config: there is no ci/werf.yaml in the project directory\n" +
				"  commit it, or give another path, relative to the project directory"},
		{"override a directory", fstest.MapFS{"ci/werf.yaml": file}, "ci", "", "ci is a directory"},
		{"override absolute", fstest.MapFS{}, "/werf.yaml", "",
			`--config must be relative to the project directory, found the absolute path "/werf.yaml"`},
		{"override leaves", fstest.MapFS{}, "a/../../werf.yaml", "",
			`--config leaves the project directory: "a/../../werf.yaml"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Find(test.files, test.override)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			text := ""
			if err != nil {
				text = err.Error()
				if !diag.Is(err) {
					t.Error("the error is not the user's mistake")
				}
			}
			if text != test.err {
				t.Errorf("got:\n%s\nwant:\n%s", text, test.err)
			}
		})
	}
}

// The example that an error shows must work.
func TestExamples(t *testing.T) {
	for _, text := range []string{metaExample, fileExample} {
		if _, err := Parse("werf.yaml", []byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

type brokenFS struct{}

func (brokenFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

// A failure to read is not the user's mistake.
func TestFindBroken(t *testing.T) {
	for _, override := range []string{"", "werf.yaml"} {
		_, err := Find(brokenFS{}, override)
		if !errors.Is(err, fs.ErrPermission) || diag.Is(err) {
			t.Errorf("override %q: got the error %v", override, err)
		}
	}
}
