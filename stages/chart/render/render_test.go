package render

import (
	"slices"
	"strings"
	"testing"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

func load(t *testing.T, files map[string]string) *helm.Chart {
	t.Helper()
	var list []*loader.BufferedFile
	for name, text := range files {
		list = append(list, &loader.BufferedFile{Name: name, Data: []byte(text)})
	}
	c, err := loader.LoadFiles(list)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var files = map[string]string{
	"Chart.yaml":                  "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.20'\ndependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n",
	"values.yaml":                 "sub: {enabled: false}\nimage: a:1\n",
	"values.schema.json":          `{"properties": {"image": {"type": "string"}}}`,
	"crds/foo.yaml":               "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: foos}\nspec: {image: not-an-image}\n",
	"templates/pod.yaml":          "apiVersion: v1\nkind: Pod\nmetadata: {name: '{{ .Release.Name }}', namespace: '{{ .Release.Namespace }}'}\nspec:\n  containers:\n  - image: {{ .Values.image }}\n  volumes:\n  - image: {reference: 'v:1'}\n",
	"templates/ns.yaml":           "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {v: '{{ .Capabilities.KubeVersion }}', api: '{{ .Capabilities.APIVersions.Has \"example.org/v1\" }}'}}\n",
	"templates/hook.yaml":         "apiVersion: v1\nkind: Pod\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\nspec: {initContainers: [{image: h:1}]}\n",
	"templates/cm.yaml":           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {image: 'text'}\n",
	"templates/empty.yaml":        "{{ if false }}x{{ end }}\n",
	"templates/NOTES.txt":         "hello",
	"charts/sub/Chart.yaml":       "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
	"charts/sub/templates/a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: sub}\nspec: {containers: [{image: s:1}]}\n",
}

func paths(manifests []Manifest) (out []string) {
	for _, m := range manifests {
		out = append(out, m.Path)
	}
	return out
}

func TestRender(t *testing.T) {
	for _, test := range []struct {
		name          string
		options       Options
		paths, images []string
		text          []string
	}{
		{
			name:   "zero options",
			paths:  []string{"web/templates/ns.yaml", "web/templates/cm.yaml", "web/templates/pod.yaml", "web/templates/hook.yaml"},
			images: []string{"a:1", "v:1", "h:1"},
			text:   []string{"name: 'release-name', namespace: 'default'", "api: 'false'", "# Source: web/templates/cm.yaml\n"},
		},
		{
			name: "all options",
			options: Options{Release: "r", Namespace: "n", KubeVersion: "1.25", APIVersions: []string{"example.org/v1"}, IncludeCRDs: true,
				Values: map[string]any{"image": "b:2", "sub": map[string]any{"enabled": true}}},
			paths:  []string{"web/crds/foo.yaml", "web/templates/ns.yaml", "web/templates/cm.yaml", "web/charts/sub/templates/a.yaml", "web/templates/pod.yaml", "web/templates/hook.yaml"},
			images: []string{"s:1", "b:2", "v:1", "h:1"},
			text:   []string{"name: 'r', namespace: 'n'", "v: 'v1.25', api: 'true'"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := Render(t.Context(), load(t, files), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(out); !slices.Equal(got, test.paths) {
				t.Errorf("manifests: %q, want %q", got, test.paths)
			}
			images, err := Images(out)
			if err != nil || !slices.Equal(images, test.images) {
				t.Errorf("images: %q, %v, want %q", images, err, test.images)
			}
			text := Text(out)
			for _, want := range test.text {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if out[len(out)-1].Hook != true || out[0].Hook {
				t.Error("hooks are not told from other resources")
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		want    string
	}{
		{"old cluster", Options{KubeVersion: "1.19"}, "chart web wants Kubernetes >=1.20, this is v1.19"},
		{"no version", Options{KubeVersion: "new"}, `"new" is no version of Kubernetes`},
		{"schema", Options{Values: map[string]any{"image": 1}}, "values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Render(t.Context(), load(t, files), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
