package chart

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// overrideFiles is a chart that shows all its values, with a sub-chart that shows
// its own.
var overrideFiles = map[string]string{
	"Chart.yaml":               "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n- {name: sub, version: 0.0.1, alias: second}\n- {name: sub, version: 0.0.1}\n",
	"values.yaml":              "a: 1\nb: {c: [1, 2], d: {e: f, g: 12345678901234567890}}\ndrop: {me: 1, keep: 2}\nsub: {x: 2}\n",
	"templates/all.yaml":       configMap("all", "{{- range $k, $v := omit .Values \"werf\" \"global\" \"sub\" \"second\" }}\n  {{ $k }}: {{ toJson $v | squote }}{{ end }}\n"),
	"charts/sub/Chart.yaml":    "apiVersion: v2\nname: sub\nversion: 0.0.1\n",
	"charts/sub/values.yaml":   "x: 1\nm: {z: 1, w: 2}\n",
	"charts/sub/templates/all": configMap("{{ .Chart.Name }}", "  all: {{ toJson (omit .Values \"global\") | squote }}\n"),
}

// What is laid over a chart's values when it is published gives what Helm makes of
// the same flags at installation.
func TestValuesAreHelms(t *testing.T) {
	dir := t.TempDir()
	for name, text := range overrideFiles {
		file := filepath.Join(dir, "chart", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written := filepath.Join(dir, "file.txt")
	if err := os.WriteFile(written, []byte("of a file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Values{
		"nothing": {},
		"the last file over the first": {Files: []File{
			{Name: "one.yaml", Data: []byte("a: 2\nb: {c: [3], h: 1}\nnew: {x: {m: z}}\n")}, {Name: "two.yaml", Data: []byte("a: 3\nb: {d: {e: other}}\n")},
		}},
		"sets over files": {Files: []File{{Name: "one.yaml", Data: []byte("a: 2\nb: {d: {h: 1}}\n")}}, Set: []string{"a=3,b.d.e=x", "b.c[1]=9"}},
		"each over the one before": {SetJSON: []string{`a={"x":1}`, `o=[1,2]`, `p=1`, `q=1`, `r=1`, `s=1`}, Set: []string{"p=2,q=2,r=2,s=2"}, SetString: []string{"q=3,r=3,s=3"},
			SetFile: []string{"r=" + written + ",s=" + written}, SetLiteral: []string{"s=a,b=[1]{x}"}},
		"null removes":                {Set: []string{"drop.me=null,b=null,never=null"}, Files: []File{{Name: "f", Data: []byte("a: null\n")}}},
		"null in a sub-chart":         {Set: []string{"sub.m.z=null,second.x=null"}},
		"a value of a sub-chart":      {Set: []string{"second.x=7,sub.m.z=8"}},
		"strings that look otherwise": {SetString: []string{"a=true,b=1.0,c=null"}},
		"an empty file":               {Files: []File{{Name: "empty.yaml", Data: []byte("# nothing\n")}}},
		"a map over a value and back": {Files: []File{{Name: "f", Data: []byte("a: {b: 1}\ndrop: 1\n")}}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "r", filepath.Join(dir, "chart")}
			for i, f := range v.Files {
				file := filepath.Join(t.TempDir(), fmt.Sprint(i))
				if err := os.WriteFile(file, f.Data, 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--values", file)
			}
			for flag, given := range map[string][]string{"--set-json": v.SetJSON, "--set": v.Set, "--set-string": v.SetString, "--set-file": v.SetFile, "--set-literal": v.SetLiteral} {
				for _, s := range given {
					args = append(args, flag, s)
				}
			}
			v.ReadFile = os.ReadFile
			s, err := Load(t.Context(), tree(overrideFiles), ".helm", LoadOptions{Values: v})
			if err != nil {
				t.Fatal(err)
			}
			got := mustHelm(t, "template", "r", save(t, pack(t, s, Options{Project: "web"})))
			if want := manifests(mustHelm(t, args...)); manifests(got) != want {
				t.Errorf("got\n%s\nHelm makes\n%s", got, want)
			}
		})
	}
}

// manifests is what Helm prints without its warnings.
func manifests(output string) string { return output[strings.Index(output, "---\n"):] }

func TestServiceValuesAreOverAllOthers(t *testing.T) {
	s, err := Load(t.Context(), tree(map[string]string{"templates/a.yaml": example, "values.yaml": "own: 1\n"}), ".helm", LoadOptions{
		Values: Values{NoDefaults: true, Set: []string{"werf.image.myapp=mine,global.werf.name=mine,extra=1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := pack(t, s, options)
	values := mustHelm(t, "show", "values", save(t, p))
	wants(t, values, "myapp: example.org/group/app:key1", "name: mybundle", "extra: 1")
	if strings.Contains(values, "own: 1") {
		t.Error("NoDefaults kept the chart's own values")
	}
}

func TestValuesRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		values Values
		want   []string
	}{
		"file":          {Values{Files: []File{{Name: "ci/prod.yaml", Data: []byte("a: 1\n\tb: 2\n")}}}, []string{"ci/prod.yaml:2: ", "2 | \tb: 2"}},
		"file of lists": {Values{Files: []File{{Name: "ci/prod.yaml", Data: []byte("- a\n")}}}, []string{"ci/prod.yaml: must be a map of values, is a list"}},
		"set":           {Values{Set: []string{"password=a,b"}}, []string{"--set password=…: "}},
		"json":          {Values{SetJSON: []string{"a={"}}, []string{"--set-json a=…: "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), tree(map[string]string{"templates/a.yaml": ""}), ".helm", LoadOptions{Values: test.values})
			checkError(t, err, test.want...)
		})
	}
	broken := errors.New("the disk is gone")
	_, err := Load(t.Context(), tree(map[string]string{"templates/a.yaml": ""}), ".helm", LoadOptions{
		Values: Values{SetFile: []string{"a=b"}, ReadFile: func(string) ([]byte, error) { return nil, broken }},
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	schema := `{"properties": {"replicas": {"type": "integer"}}, "required": ["replicas"]}`
	sub := map[string]string{
		"Chart.yaml":                    "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n- {name: sub, version: 0.0.1, condition: sub.enabled}\n",
		"charts/sub/Chart.yaml":         "apiVersion: v2\nname: sub\nversion: 0.0.1\n",
		"charts/sub/values.schema.json": schema, "charts/sub/values.yaml": "replicas: many\n",
	}
	for name, test := range map[string]struct {
		files map[string]string
		set   string
		want  []string // none means it is valid
	}{
		"valid":              {map[string]string{"values.schema.json": schema}, "replicas=1", nil},
		"none":               {map[string]string{"templates/a.yaml": ""}, "replicas=x", nil},
		"wrong type":         {map[string]string{"values.schema.json": schema}, "replicas=x", []string{".helm/values.schema.json: ", "at '/replicas': got string, want integer", ".Values"}},
		"missing":            {map[string]string{"values.schema.json": schema}, "x=1", []string{".helm/values.schema.json: ", "missing property 'replicas'", "--no-values-schema-validation"}},
		"schema of no sense": {map[string]string{"values.schema.json": `{"type": 1}`}, "x=1", []string{".helm/values.schema.json: "}},
		"sub-chart":          {sub, "x=1", []string{".helm/charts/sub/values.schema.json: ", "at '/replicas'", "correct .Values.sub "}},
		"sub-chart, mended":  {sub, "sub.replicas=1", nil},
		"sub-chart, off":     {sub, "sub.enabled=false", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load(t.Context(), tree(test.files), ".helm", LoadOptions{Values: Values{Set: []string{test.set}}})
			if err != nil {
				t.Fatal(err)
			}
			p := pack(t, s, options)
			err = s.Validate(t.Context(), nil, p)
			if _, helmErr := runHelm(t, "template", "r", save(t, p)); (helmErr != nil) != (err != nil) {
				t.Errorf("got %v, Helm says %v", err, helmErr)
			}
			if test.want == nil && err != nil {
				t.Error(err)
			} else if test.want != nil {
				checkError(t, err, test.want...)
			}
		})
	}
}
