package chart

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadTakesTheFilesThatHelmTakes(t *testing.T) {
	fsys := tree(map[string]string{
		".helmignore":       "# not for users\n*.md\n/secret-notes\nci/\n",
		"README.md":         "ignored",
		"docs/deep.md":      "ignored",
		"secret-notes":      "ignored",
		"docs/secret-notes": "kept",
		"ci/values.yaml":    "ignored",
		"templates/a.yaml":  "\uFEFFkept",
		"templates/.swp":    "ignored by default",
		"values.yaml":       "a: 1",
		"charts/.gitkeep":   "",
		"crds/c.yaml":       "",
	})
	fsys["elsewhere/b.yaml"] = &fstest.MapFile{Data: []byte("linked")}
	fsys[".helm/templates/b.yaml"] = &fstest.MapFile{Data: []byte("../../elsewhere/b.yaml"), Mode: fs.ModeSymlink}
	fsys[".helm/linked"] = &fstest.MapFile{Data: []byte("../elsewhere"), Mode: fs.ModeSymlink}
	fsys["outside.yaml"] = &fstest.MapFile{Data: []byte("not the chart's")}

	s, err := Load(t.Context(), fsys, ".helm", LoadOptions{AllFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".helmignore", "charts/.gitkeep", "crds/c.yaml", "docs/secret-notes", "linked/b.yaml", "templates/a.yaml", "templates/b.yaml", "values.yaml"}
	if got := s.Files(); !slices.Equal(got, want) {
		t.Errorf("files: %q\nwant:  %q", got, want)
	}
	if got := string(s.files["templates/a.yaml"]); got != "kept" {
		t.Errorf("the byte order mark stays: %q", got)
	}
	if got := string(s.files["linked/b.yaml"]); got != "linked" {
		t.Errorf("through a linked directory: %q", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	strict := `{"properties": {"werf": {}}, "additionalProperties": false}`
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string // parts of the message, in order
	}{
		{"Chart.yaml that is not YAML", map[string]string{"Chart.yaml": "name: a\nversion: b: c\n"},
			[]string{".helm/Chart.yaml:2: mapping values are not allowed", "2 | version: b: c"}},
		{"Chart.yaml of a wrong type", map[string]string{"Chart.yaml": "name: [a]\n"},
			[]string{".helm/Chart.yaml: cannot unmarshal array", "name"}},
		{"Chart.yaml of a wrong version", map[string]string{"Chart.yaml": "name: a\nversion: next\n"},
			[]string{".helm/Chart.yaml: ", `version "next" is invalid`}},
		{"apiVersion of the future", map[string]string{"Chart.yaml": "apiVersion: v3\nname: a\n"},
			[]string{`.helm/Chart.yaml: apiVersion "v3" is not supported`, "use apiVersion: v2"}},
		{"values.yaml that is not YAML", map[string]string{"values.yaml": "a: 1\n\tb: 2\n"},
			[]string{".helm/values.yaml:2: ", "2 | \tb: 2"}},
		{"values.yaml with a list", map[string]string{"values.yaml": "- a\n"},
			[]string{".helm/values.yaml: must be a map of values, is a list"}},
		{"values.yaml with a string", map[string]string{"values.yaml": "hello\n"},
			[]string{".helm/values.yaml: must be a map of values, is a string"}},
		{".helmignore", map[string]string{".helmignore": "a/**\n", "a": ""},
			[]string{".helm/.helmignore: double-star"}},
		{"Chart.lock", map[string]string{"Chart.lock": "[]"},
			[]string{".helm: cannot load Chart.lock"}},
		{"sub-chart", map[string]string{"charts/s/Chart.yaml": "name: s\n"},
			[]string{".helm: error unpacking subchart s", "version is required"}},
		{"dependency not vendored", map[string]string{"Chart.yaml": "name: a\nversion: 1.0.0\ndependencies:\n- {name: redis, version: 1.0.0, repository: 'https://example.org'}\n"},
			[]string{".helm/Chart.yaml:4: the dependency \"redis\" is not in .helm/charts", "4 | - {name: redis"}},
		{"requirement not vendored", map[string]string{"requirements.yaml": "dependencies:\n- {name: redis, version: 1.0.0, repository: 'https://example.org'}\n"},
			[]string{".helm/requirements.yaml:2: the dependency \"redis\" is not in .helm/charts"}},
		{"export-values", map[string]string{"Chart.yaml": "dependencies:\n- name: s\n  export-values: [{parent: werf, child: werf}]\n", "charts/s/Chart.yaml": "name: s\nversion: 1.0.0\n"},
			[]string{`.helm/Chart.yaml: export-values of the dependency "s" is not supported`, ".Values.global.werf.images"}},
		{"secret value in plain text", map[string]string{"secret-values.yaml": "a: \"00\"\nb:\n  c: [\"1000\", password]\n"},
			[]string{".helm/secret-values.yaml:3: the value of b.c[1] is not encrypted", "encrypt it"}},
		{"secret value in plain text, of a sub-chart", map[string]string{"charts/s/Chart.yaml": "name: s\nversion: 1.0.0\n", "charts/s/secret-values.yaml": "a: b\n"},
			[]string{".helm/charts/s/secret-values.yaml:1: the value of a is not encrypted"}},
		{"secret values of a list", map[string]string{"secret-values.yaml": "[a]"}, []string{".helm/secret-values.yaml: must be a map"}},
		{"secret values that are not YAML", map[string]string{"secret-values.yaml": "a: 1\n\tb: 2\n"}, []string{".helm/secret-values.yaml:2: "}},
		{"secret values with an alias", map[string]string{"secret-values.yaml": "a: &a \"10\"\nb: *a\n"}, []string{".helm/secret-values.yaml:2: anchors"}},
		{"secret file in plain text", map[string]string{"secret/tls/key.pem": "-----BEGIN"},
			[]string{".helm/secret/tls/key.pem: the file is not encrypted"}},
		{"schema without global", map[string]string{"values.schema.json": strict},
			[]string{".helm/values.schema.json: the schema forbids .Values.global", `"global": {"type": "object"}`}},
		{"schema that is not JSON", map[string]string{"values.schema.json": "{"},
			[]string{".helm/values.schema.json: not valid JSON"}},
		{"two locks", map[string]string{"Chart.lock": "", "requirements.lock": ""},
			[]string{".helm/requirements.lock: ", "keep one"}},
		{"backslash", map[string]string{`templates/a\b`: ""},
			[]string{"backslash"}},
		{"huge file", map[string]string{"files/big": strings.Repeat("x", 5<<20+1)},
			[]string{".helm/files/big: Helm takes no files of more than 5242880 bytes", ".helm/.helmignore"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(t.Context(), tree(test.files), ".helm", LoadOptions{})
			checkError(t, err, test.want...)
		})
	}
}

func checkError(t *testing.T, err error, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want *Error", err, err)
	}
	rest := err.Error()
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("got  %s\nwant %q", err, part)
		}
		rest = after
	}
}

func TestLoadAccepts(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"open schema":                {"values.schema.json": `{"properties": {}}`},
		"closed schema with ours":    {"values.schema.json": `{"properties": {"werf": {}, "global": {}}, "additionalProperties": false}`},
		"schema with patterns":       {"values.schema.json": `{"patternProperties": {".*": {}}, "additionalProperties": false}`},
		"Chart.yaml without version": {"Chart.yaml": "name: a\n"},
		"empty Chart.yaml":           {"Chart.yaml": ""},
		"comments only":              {"values.yaml": "# nothing yet\n"},
	} {
		t.Run(name, func(t *testing.T) {
			pack(t, load(t, files), options)
		})
	}
}

func TestNoChartSaysWhatToCreate(t *testing.T) {
	for name, fsys := range map[string]fs.FS{
		"no directory":    fstest.MapFS{"werf.yaml": {}},
		"empty directory": fstest.MapFS{".helm": {Mode: fs.ModeDir | 0o755}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), fsys, ".helm", LoadOptions{})
			checkError(t, err, ".helm: the project has no chart", ".helm/templates/myapp.yaml", "image: {{ $.Values.werf.image.myapp }}")
		})
	}
	wants(t, render(t, map[string]string{"templates/myapp.yaml": example}, options), "image: example.org/group/app:key1")
}

func TestLinksThatLeadNowhere(t *testing.T) {
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink} }
	_, err := Load(t.Context(), fstest.MapFS{".helm/templates/a.yaml": link("gone.yaml")}, ".helm", LoadOptions{})
	checkError(t, err, ".helm/templates/a.yaml: the symbolic link leads nowhere")

	_, err = Load(t.Context(), fstest.MapFS{".helm/device": {Mode: fs.ModeNamedPipe}}, ".helm", LoadOptions{})
	checkError(t, err, ".helm/device: not a regular file")

	_, err = Load(t.Context(), loop{}, ".helm", LoadOptions{})
	checkError(t, err, "the chart has more than 10000 files", "symbolic link")
}

// loop is a file system in which a directory holds a link to itself, and which
// follows it for ever.
type loop struct{}

func (loop) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".helmignore") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return fstest.MapFS{"d/self": {Mode: fs.ModeDir | 0o755}}.Open("d")
}

// broken fails to read one file.
type broken struct {
	fs.FS
	name string
	err  error
}

func (b broken) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, b.err
	}
	return b.FS.Open(name)
}

func TestErrorsOfTheFileSystemAreNotTheUsers(t *testing.T) {
	fsys := tree(map[string]string{".helmignore": "", "templates/a.yaml": ""})
	for _, name := range []string{".helm", ".helm/.helmignore", ".helm/templates", ".helm/templates/a.yaml"} {
		t.Run(name, func(t *testing.T) {
			cause := fmt.Errorf("object store is gone")
			_, err := Load(t.Context(), broken{fsys, name, cause}, ".helm", LoadOptions{})
			var e *Error
			if !errors.Is(err, cause) || errors.As(err, &e) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %T %v", err, err)
			}
		})
	}
}
