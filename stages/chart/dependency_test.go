package chart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// shelf is a Fetcher of charts that tests made.
type shelf map[string]string // "NAME CONSTRAINT" -> version

func (s shelf) Fetch(_ context.Context, d Dependency) ([]byte, string, error) {
	version, ok := s[d.Name+" "+d.Version]
	if !ok {
		return nil, "", &Error{Message: fmt.Sprintf("%s has no version %s of %q", d.Repository, d.Version, d.Name)}
	}
	archive, err := WriteArchive(d.Name, (&Source{files: map[string][]byte{
		"templates/a.yaml": []byte(configMap("{{ .Chart.Name }}", "  version: v{{ .Chart.Version }}\n  image: {{ .Values.global.werf.images.myapp.ref }}\n  x: {{ .Values.x }}\n")),
		"values.yaml":      []byte("x: default\nexports: {data: {imported: yes}}\n"),
	}}).with([]byte("apiVersion: v2\nname: "+d.Name+"\nversion: "+version+"\n"), []byte("x: default\nexports: {data: {imported: of sub}}\n"), nil))
	return archive, version, err
}

func chartYAML(dependencies ...string) string {
	return "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n- " + strings.Join(dependencies, "\n- ") + "\n"
}

func TestDependencies(t *testing.T) {
	const repository = "repository: 'https://example.org'"
	fsys := tree(map[string]string{
		"Chart.yaml": chartYAML("{name: redis, version: 1.2.3, "+repository+"}", "{name: redis, version: ~2.0, alias: second, "+repository+"}",
			"{name: idle, version: '>0', condition: idle.enabled, "+repository+"}", "{name: tagged, version: 1.0.0, tags: [none], "+repository+"}",
			"{name: held, version: 0.0.1}", "{name: local, version: '>=0.1', repository: 'file://../common/local'}", "{name: parent, version: 1.0.0, import-values: [data], "+repository+"}"),
		"values.yaml":             "idle: {enabled: false}\ntags: {none: false}\nsecond: {x: of the parent}\n",
		"templates/a.yaml":        configMap("own", "  imported: {{ .Values.imported }}\n"),
		"charts/held/Chart.yaml":  "apiVersion: v2\nname: held\nversion: 0.0.1\n",
		"charts/held/templates/a": configMap("held", "  a: b\n"),
	})
	for name, text := range map[string]string{
		"common/local/Chart.yaml": "apiVersion: v2\nname: local\nversion: 0.2.0\ndependencies:\n- {name: deep, version: '>0', repository: 'file://../deep'}\n", "common/local/templates/a.yaml": configMap("local", "  a: b\n"),
		"common/local/.helmignore": "*.md\n", "common/local/README.md": "ignored",
		"common/deep/Chart.yaml": "apiVersion: v2\nname: deep\nversion: 3.0.0\n", "common/deep/templates/a.yaml": configMap("deep", "  a: b\n"),
	} {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := Load(t.Context(), fsys, ".helm", LoadOptions{Fetcher: shelf{"redis 1.2.3": "1.2.3", "redis ~2.0": "2.0.7", "idle >0": "9.0.0", "tagged 1.0.0": "1.0.0", "parent 1.0.0": "1.0.0"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Chart.yaml", "charts/held/Chart.yaml", "charts/held/templates/a",
		"charts/idle-9.0.0.tgz", "charts/local-0.2.0/.helmignore", "charts/local-0.2.0/Chart.yaml", "charts/local-0.2.0/charts/deep-3.0.0/Chart.yaml", "charts/local-0.2.0/charts/deep-3.0.0/templates/a.yaml", "charts/local-0.2.0/templates/a.yaml",
		"charts/parent-1.0.0.tgz", "charts/redis-1.2.3.tgz", "charts/redis-2.0.7.tgz", "charts/tagged-1.0.0.tgz", "templates/a.yaml", "values.yaml"}
	if got := s.Files(); !slices.Equal(got, want) {
		t.Errorf("files: %q\nwant:  %q", got, want)
	}
	if got, want := s.Floating(), []string{"redis ~2.0 of https://example.org", "idle >0 of https://example.org"}; !slices.Equal(got, want) {
		t.Errorf("floating: %q, want %q", got, want)
	}
	if got := Beside(fsys, ".helm"); !slices.Equal(got, []string{"common/local", "common/deep"}) {
		t.Errorf("beside the chart: %q", got)
	}
	out := mustHelm(t, "template", "r", save(t, pack(t, s, options)))
	wants(t, out, "name: redis", "version: v1.2.3", "x: default", "name: second", "version: v2.0.7", "x: of the parent", "name: held", "name: local", "name: deep", "imported: of sub",
		"image: example.org/group/app:key1@"+digest)
	for _, name := range []string{"idle", "tagged"} {
		if strings.Contains(out, "name: "+name) {
			t.Errorf("%s is switched off and rendered:\n%s", name, out)
		}
	}
}

func TestDependenciesRefused(t *testing.T) {
	const repository = "repository: 'https://example.org'"
	redis := "{name: redis, version: ^1.0, " + repository + "}"
	lock := func(entries ...string) string {
		return "digest: x\ngenerated: '2026-01-01T00:00:00Z'\ndependencies:\n- " + strings.Join(entries, "\n- ") + "\n"
	}
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"not there":                  {map[string]string{"Chart.yaml": chartYAML("{name: none, version: 1.0.0, " + repository + "}")}, []string{".helm/Chart.yaml:5: https://example.org has no version 1.0.0", "5 | - {name: none"}},
		"vendored, other version":    {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0}", redis), "charts/a/Chart.yaml": "name: a\nversion: 1.0.0\n", "charts/redis/Chart.yaml": "name: redis\nversion: 2.0.0\n"}, []string{".helm/Chart.yaml:6: .helm/charts has version 2.0.0", "helm dependency build"}},
		"no repository":              {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0}")}, []string{`:5: the dependency "a" is not in .helm/charts`}},
		"alias of a repository":      {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: '@stable'}")}, []string{":5: the repository @stable", "write its URL"}},
		"unknown scheme":             {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 's3://b'}")}, []string{`:5: the repository "s3://b"`, "oci://"}},
		"password":                   {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'https://u:p@example.org'}")}, []string{":5: ", "without a user", "log in"}},
		"no version":                 {map[string]string{"Chart.yaml": chartYAML("{name: a, version: new, " + repository + "}")}, []string{`:5: the version "new"`}},
		"outside":                    {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file://../../a'}")}, []string{":5: ", "outside of the project"}},
		"absolute":                   {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file:///a'}")}, []string{":5: ", "outside of the project"}},
		"local, missing":             {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file://../a'}")}, []string{`:5: the dependency "a"`}},
		"local, other version":       {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file://x'}"), "x/Chart.yaml": "name: a\nversion: 2.0.0\n"}, []string{`:5: the chart in .helm/x has version "2.0.0"`}},
		"local, other name":          {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file://x'}"), "x/Chart.yaml": "name: b\nversion: 1.0.0\n"}, []string{`:5: the chart in .helm/x is named "b"`}},
		"circle":                     {map[string]string{"Chart.yaml": chartYAML("{name: a, version: 1.0.0, repository: 'file://x'}"), "x/Chart.yaml": "name: a\nversion: 1.0.0\ndependencies: [{name: web, version: 0.1.0, repository: 'file://../'}]\n"}, []string{".helm/x/Chart.yaml:3: ", "circle"}},
		"empty":                      {map[string]string{"Chart.yaml": chartYAML("")}, []string{".helm/Chart.yaml: "}},
		"lock of another list":       {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("{name: other, version: 1.0.0, " + repository + "}")}, []string{".helm/Chart.yaml:5: Chart.lock is not of this list", "helm dependency update .helm"}},
		"lock of nothing":            {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("")}, []string{".helm/Chart.yaml:5: Chart.lock is not of this list"}},
		"lock of another repository": {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("{name: redis, version: 1.0.0, repository: 'https://other'}")}, []string{".helm/Chart.yaml:5: Chart.lock is not of this list"}},
		"lock of another version":    {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("{name: redis, version: 2.0.0, " + repository + "}")}, []string{`.helm/Chart.yaml:5: Chart.lock has version 2.0.0 of "redis"`}},
		"lock of more":               {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("{name: redis, version: 1.0.0, "+repository+"}", "{name: b, version: 1.0.0}")}, []string{".helm/Chart.lock: ", "more dependencies"}},
		"vendored, not the locked":   {map[string]string{"Chart.yaml": chartYAML(redis), "Chart.lock": lock("{name: redis, version: 1.0.0, " + repository + "}"), "charts/redis/Chart.yaml": "name: redis\nversion: 1.0.1\n"}, []string{":5: .helm/charts has version 1.0.1", "1.0.0 is wanted"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), tree(test.files), ".helm", LoadOptions{Fetcher: shelf{}})
			checkError(t, err, test.want...)
		})
	}
	gone := errors.New("no route")
	_, err := Load(t.Context(), tree(map[string]string{"Chart.yaml": chartYAML(redis)}), ".helm", LoadOptions{Fetcher: failing{gone}})
	var e *Error
	if !errors.Is(err, gone) || errors.As(err, &e) || !strings.Contains(err.Error(), `.helm/Chart.yaml: getting the dependency "redis"`) {
		t.Errorf("got %T %v", err, err)
	}
}

type failing struct{ error }

func (f failing) Fetch(context.Context, Dependency) ([]byte, string, error) { return nil, "", f.error }

// What Chart.lock has is what is fetched, and does not float.
func TestLockedDependency(t *testing.T) {
	s, err := Load(t.Context(), tree(map[string]string{
		"Chart.yaml": chartYAML("{name: redis, version: ^1.0, repository: 'https://example.org'}"),
		"Chart.lock": "dependencies:\n- {name: redis, version: 1.0.5, repository: 'https://example.org'}\n",
	}), ".helm", LoadOptions{Fetcher: shelf{"redis 1.0.5": "1.0.5"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Files(); !slices.Contains(got, "charts/redis-1.0.5.tgz") || len(s.Floating()) > 0 {
		t.Errorf("files %q, floating %q", got, s.Floating())
	}
}
