package render

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func chartOf(more map[string]string) map[string]string {
	files := map[string]string{"Chart.yaml": chartYAML("app", "")}
	for name, text := range more {
		files[name] = text
	}
	return files
}

func TestTemplateErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		files   map[string]string
		options Options
		want    string
	}{
		{"syntax", map[string]string{"templates/a.yaml": "a\n{{ if }}\n"}, Options{},
			"app/templates/a.yaml:2: missing value for if\n  2 | {{ if }}"},
		{"required", map[string]string{"templates/a.yaml": "x: y\n  é: {{ required \"say\" .Values.which }}\n"}, Options{},
			"app/templates/a.yaml:2:9: say\n  2 |   é: {{ required \"say"},
		{"fail in an include", map[string]string{"templates/a.yaml": "\n{{ include \"x\" . }}", "templates/_x.tpl": "{{ define \"x\" }}\n{{ fail \"no\" }}{{ end }}"}, Options{},
			"app/templates/a.yaml:2:4: no\n  2 | {{ include \"x\" . }}"},
		{"nil pointer in an include", map[string]string{"templates/a.yaml": "\n{{ include \"x\" . }}", "templates/_x.tpl": "{{ define \"x\" }}\n{{ .a.b.c }}{{ end }}"}, Options{},
			"app/templates/_x.tpl:2:6: <.a.b.c>: nil pointer evaluating interface {}.b\n  2 | {{ .a.b.c }}{{ end }}\n  called from app/templates/a.yaml:2"},
		{"nil pointer in a sub-chart", map[string]string{"charts/sub/Chart.yaml": chartYAML("sub", ""), "charts/sub/templates/a.yaml": "{{ .Values.a.b.c }}"}, Options{},
			"app/charts/sub/templates/a.yaml:1:11: <.Values.a.b.c>: nil pointer evaluating interface {}.b\n  1 | {{ .Values.a.b.c }}"},
		{"tpl", map[string]string{"templates/a.yaml": "{{ tpl \"{{ .Values.a.b.c }}\" . }}"}, Options{},
			"app/templates/a.yaml:1:4: <tpl \"{{ .Values.a.b.c }}\" .>:"},
		{"werf's function", map[string]string{"templates/a.yaml": "k: {{ werf_secret_file \"x\" }}"}, Options{},
			"app/templates/a.yaml:1: werf_secret_file is a function of werf's, and Helm's engine does not have it\n  1 | k: {{ werf_secret_file \"x\" }}\n  Helm could"},
		{"not YAML", map[string]string{"templates/a.yaml": configMap("ok", "y") + "---\nkind: X\na: {{ .Values.a }}: c\n", "values.yaml": "a: b"}, Options{},
			"app/templates/a.yaml: what it renders is not YAML: yaml: line 2: mapping values are not allowed in this context\n  it renders\n  1 | kind: X\n  2 | a: b: c"},
		{"not YAML and secret", map[string]string{"templates/a.yaml": "kind: X\na: {{ .Values.a }}: c\n", "values.yaml": "a: hunter2"}, Options{Secrets: true},
			"app/templates/a.yaml: what it renders is not YAML: yaml: line 2: mapping values are not allowed in this context"},
		{"release", nil, Options{Release: "No"}, `"No" cannot be the name of a release`},
		{"library", map[string]string{"Chart.yaml": chartYAML("app", "type: library\n")}, Options{}, "chart app is a library: only an application can be installed"},
		{"dependency", map[string]string{"Chart.yaml": chartYAML("app", "dependencies: [{name: db, version: 1.0.0, repository: x}]\n")}, Options{}, "chart app depends on db, which is not in its charts/"},
		{"include without end", map[string]string{"templates/a.yaml": "{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}"}, Options{}, "app/templates/a.yaml:1:20: <include \"x\" .>: rendering template has a nested reference name: x: unable to execute template\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Render(t.Context(), load(t, chartOf(test.files)), test.options)
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), test.want) {
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 2000) {
				t.Errorf("the error says too much: %.3000s", err)
			}
		})
	}
}

// What takes time ends with the context.
func TestRenderCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	slow := "{{ range until 2000 }}{{ range until 2000 }}{{ end }}{{ end }}"
	if _, err := Render(ctx, load(t, chartOf(map[string]string{"templates/a.yaml": slow})), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyRefuses(t *testing.T) {
	manifests, err := Render(t.Context(), load(t, files), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"templates/empty.yaml": "templates/empty.yaml renders nothing\n  these do: templates/ns.yaml, templates/cm.yaml, templates/pod.yaml, templates/hook.yaml",
		"[":                    `"[" is no pattern of paths`,
	} {
		if _, err := Only(manifests, []string{"templates/ns.yaml", pattern}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", pattern, err, want)
		}
	}
	if _, err := Only(nil, []string{"x"}); err == nil || !strings.Contains(err.Error(), "the chart renders nothing at all") {
		t.Errorf("got %v", err)
	}
}

func TestValuesRefuses(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "none" {
			return nil, errors.New("no such file")
		}
		return []byte("- a list with hunter2"), nil
	}
	for _, test := range []struct {
		values Values
		want   string
	}{
		{Values{Files: []string{"none"}}, "reading --values none: no such file"},
		{Values{Files: []string{"list.yaml"}}, "list.yaml: the values cannot be read: "},
		{Values{Set: []string{"a=b", "hunter2"}}, "--set number 2: "},
		{Values{SetJSON: []string{"a={hunter2"}}, "--set-json number 1: "},
		{Values{SetFile: []string{"a=none"}}, "--set-file number 1: "},
	} {
		if _, err := test.values.Merge(read); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %s", test.values, err, test.want)
		}
	}
}
