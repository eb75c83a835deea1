package render

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// helmBinary is the Helm that go.mod names as a tool.
var helmBinary = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "helm").Output()
	return strings.TrimSpace(string(out)), err
})

// helmTemplate is what `helm template` prints of the chart in dir. The Helm here
// is not a released one, and has to be told the version of Kubernetes.
func helmTemplate(t *testing.T, dir string, args ...string) (stdout string, err error) {
	t.Helper()
	helm, err := helmBinary()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	home := t.TempDir()
	args = append([]string{"template", "rel", dir, "--namespace", "ns", "--kube-version", defaultKubeVersion}, args...)
	cmd := exec.Command(helm, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+home+"/none")
	out, err := cmd.Output()
	return string(out), err
}

func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func chartYAML(name, more string) string {
	return "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n" + more
}

func configMap(name, data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  x: " + data + "\n"
}

// charts are of all that changes what Helm prints, or the order of it.
var charts = map[string]map[string]string{
	"kinds": {
		"Chart.yaml":           chartYAML("kinds", "kubeVersion: '>=1.25'\n"),
		"values.yaml":          "text: |\n  a\n  ---\n  b\nlist: [1, 2]\nbig: 12345678901\n",
		"templates/z.yaml":     "apiVersion: v1\nkind: Namespace\nmetadata: {name: z}\n",
		"templates/_help.tpl":  "{{ define \"x\" }}{{ .Release.Name }}-{{ .Release.Namespace }}{{ end }}",
		"templates/a.yaml":     configMap("a", "|{{ .Values.text | nindent 4 }}") + "---\n" + configMap("b", "{{ include \"x\" . }}") + "\n--- # three\n\n" + configMap("c", "{{ .Values.big }}") + "---\n# only a comment\n---\n",
		"templates/b.txt":      configMap("t", "{{ .Capabilities.KubeVersion.Minor }} {{ .Capabilities.APIVersions.Has \"apps/v1\" }} {{ .Release.IsInstall }} {{ .Release.Revision }}"),
		"templates/empty.yaml": "{{ if false }}x{{ end }}\n\n",
		"templates/NOTES.txt":  "notes {{ .Release.Name }}",
		"templates/sub/d.yaml": configMap("d", "{{ lookup \"v1\" \"Pod\" \"a\" \"b\" }}{{ .Files.Get \"file.txt\" }}{{ .Template.Name }}"),
		"file.txt":             "file",
		"templates/dep.yaml":   "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: dep}\n",
		"templates/svc.yaml":   "\n\n---\napiVersion: v1\nkind: Service\nmetadata: {name: svc}\n\n\n",
	},
	"hooks": {
		"Chart.yaml":                  chartYAML("hooks", ""),
		"templates/pre.yaml":          "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pre\n  annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: '5'}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: first\n  annotations: {helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-weight: '-5'}\n",
		"templates/tests/test.yaml":   "apiVersion: v1\nkind: Pod\nmetadata:\n  name: test\n  annotations: {helm.sh/hook: test}\n",
		"templates/tests/NOTES.txt":   "x",
		"templates/deprecated.yaml":   "apiVersion: v1\nkind: Pod\nmetadata:\n  name: old\n  annotations: {helm.sh/hook: crd-install}\n",
		"templates/otherNOTES.txt":    "x",
		"templates/annotations.yaml":  "apiVersion: v1\nkind: Pod\nmetadata:\n  name: plain\n  annotations: {a: b}\n",
		"templates/without-kind.yaml": "a: b\n",
	},
	"only hooks": {
		"Chart.yaml":       chartYAML("h", ""),
		"templates/a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {helm.sh/hook: test}}\n",
	},
	"nothing": {"Chart.yaml": chartYAML("n", ""), "templates/NOTES.txt": "x"},
	"crds": {
		"Chart.yaml":                 chartYAML("crds", "dependencies:\n- {name: two, version: 1.0.0}\n- {name: one, version: 1.0.0}\n"),
		"crds/b.yaml":                "kind: B\n---\nkind: B2\n",
		"crds/a.yaml":                "# a comment\nkind: A",
		"crds/readme.md":             "no",
		"templates/a.yaml":           configMap("a", "b"),
		"charts/one/Chart.yaml":      chartYAML("one", ""),
		"charts/one/crds/one.yaml":   "kind: One\n\n\n",
		"charts/two/Chart.yaml":      chartYAML("two", ""),
		"charts/two/crds/two.yaml":   "\n\nkind: Two\n",
		"charts/three/Chart.yaml":    chartYAML("three", ""),
		"charts/three/crds/three.md": "",
	},
	"sub-charts": {
		"Chart.yaml":                     chartYAML("parent", "dependencies:\n- {name: lib, version: 1.0.0}\n- {name: sub, version: 1.x, alias: renamed, import-values: [data]}\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n- {name: off, version: 1.0.0, tags: [extra]}\n"),
		"values.yaml":                    "renamed: {name: R, drop: null}\nsub: {enabled: true}\nglobal: {g: 1}\ntags: {extra: false}\n",
		"templates/p.yaml":               configMap("p", "{{ .Values.imported }} {{ include \"lib\" . }}"),
		"charts/lib/Chart.yaml":          chartYAML("lib", "type: library\n"),
		"charts/lib/templates/_lib.tpl":  "{{ define \"lib\" }}{{ .Values.global.g }}{{ end }}",
		"charts/sub/Chart.yaml":          chartYAML("sub", ""),
		"charts/sub/values.yaml":         "name: S\ndrop: me\nexports: {data: {imported: yes!}}\n",
		"charts/sub/templates/s.yaml":    configMap("{{ .Chart.Name }}", "{{ .Values.name }} {{ .Values.drop }} {{ .Values.global.g }}"),
		"charts/sub/templates/NOTES.txt": "n",
		"charts/off/Chart.yaml":          chartYAML("off", ""),
		"charts/off/templates/o.yaml":    configMap("off", "x"),
	},
}

// What is printed is what helm prints, byte by byte.
func TestAsHelm(t *testing.T) {
	extra := write(t, map[string]string{"one.yaml": "text: one\ndeep: {a: 1, b: 2}\nsub: {name: file}\n", "two.yaml": "deep: {b: 3}\nlist: [9]\n", "x.txt": "from\nfile"})
	values := Values{
		Files: []string{extra + "/one.yaml", extra + "/two.yaml"}, SetJSON: []string{`list=[{"a":1}]`, `deep.c="json"`},
		Set:       []string{"list[0].a=2,deep.b=4", "renamed.name=set,sub.name=null", "deep.c=set"},
		SetString: []string{"big=007,deep.d=1"}, SetFile: []string{"text=" + extra + "/x.txt,deep.d=" + extra + "/x.txt"},
	}
	valueArgs := []string{"--values", values.Files[0], "--values", values.Files[1], "--set-file", values.SetFile[0], "--set-string", values.SetString[0],
		"--set", values.Set[0], "--set", values.Set[1], "--set", values.Set[2], "--set-json", values.SetJSON[0], "--set-json", values.SetJSON[1]}
	for name, files := range charts {
		t.Run(name, func(t *testing.T) {
			if files["templates/values.yaml"] == "" {
				files["templates/values.yaml"] = configMap("values", "{{ toJson .Values | quote }}")
			}
			dir := write(t, files)
			for _, test := range []struct {
				name    string
				args    []string
				options Options
				values  Values
				only    []string
			}{
				{name: "plain"},
				{name: "all", args: append([]string{"--include-crds", "--api-versions", "a/v1,b/v1/C"}, valueArgs...), options: Options{IncludeCRDs: true, APIVersions: []string{"a/v1", "b/v1/C"}}, values: values},
				{name: "only", args: []string{"--include-crds", "-s", "templates/values.yaml", "-s", "*/*.yaml"}, options: Options{IncludeCRDs: true}, only: []string{"templates/values.yaml", "*/*.yaml"}},
				{name: "deep", args: []string{"-s", "charts/sub/templates/s.yaml", "-s", "charts/*/templates/s.yaml"}, only: []string{"charts/sub/templates/s.yaml", "charts/*/templates/s.yaml"}},
			} {
				want, helmErr := helmTemplate(t, dir, test.args...)
				c, err := loader.LoadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				o := test.options
				o.Release, o.Namespace = "rel", "ns"
				if o.Values, err = test.values.Merge(os.ReadFile); err != nil {
					t.Fatal(err)
				}
				manifests, err := Render(t.Context(), c, o)
				if err != nil {
					t.Fatalf("%s: %v (helm: %v)", test.name, err, helmErr)
				}
				got := Text(manifests)
				if test.only != nil {
					got, err = Only(manifests, test.only)
				}
				if (err == nil) != (helmErr == nil) {
					t.Fatalf("%s: %v, helm says %v", test.name, err, helmErr)
				}
				if got != want {
					t.Errorf("%s: got:\n%s\nwant:\n%s", test.name, got, want)
				}
				if helmErr == nil && len(want) < 50 {
					t.Errorf("%s: helm prints next to nothing: %q", test.name, want)
				}
			}
		})
	}
}

// A released helm takes a cluster to be of the version of the Kubernetes
// libraries that it is built with.
func TestDefaultKubeVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("k8s.io/client-go v0.%s.", strings.Split(defaultKubeVersion, ".")[1])
	if !strings.Contains(string(mod), want) {
		t.Errorf("go.mod has no %s", want)
	}
}
