package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// renderApp is a project whose chart shows what templates are given.
var renderApp = map[string]string{
	"werf.yaml":              "project: app\nconfigVersion: 1\n---\nimage: web\ndockerfile: Dockerfile\n",
	"Dockerfile":             "FROM scratch\nCOPY Dockerfile /web\n",
	".helm/Chart.yaml":       "apiVersion: v2\nname: app\nversion: 1.2.3\n",
	".helm/values.yaml":      "a: chart\nb: chart\nc: chart\nd: chart\n",
	".helm/crds/foo.yaml":    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: foos.example.org}\n",
	".helm/templates/a.yaml": podOf("{{ .Values.werf.image.web }}", "{{ .Release.Name }}"),
	".helm/templates/values.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values, namespace: {{ .Release.Namespace }}}\n" +
		"data: {abcd: '{{ .Values.a }} {{ .Values.b }} {{ .Values.c }} {{ .Values.d }}', env: '{{ .Values.werf.env }} {{ .Values.global.env }} {{ .Values.werf.namespace }}'}\n",
	".helm/templates/NOTES.txt": "thank you",
	"prod.yaml":                 "a: file\nb: file\n",
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// What is rendered of the project, and of its bundle wherever that is, is what
// helm renders of the bundle.
func TestRenderAsHelm(t *testing.T) {
	t.Parallel()
	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	project := testenv.GitRepo(t, renderApp)
	repo, dir := registry.Host+"/app", t.TempDir()
	fromProject := cli.Run(project.Dir, nil, "render", "--repo", repo, "--release", "rel", "--namespace", "ns", "--set", "c=set", "--validate").Must(t)
	cli.Run(project.Dir, nil, "bundle", "publish", "--repo", repo, "--tag", "1.2.3").Must(t)
	want := helm(t, cli, dir, "template", "--plain-http", "rel", "oci://"+repo, "--version", "1.2.3", "-n", "ns", "--include-crds", "--set", "c=set", "--set", "werf.namespace=ns")
	wantLines(t, want, "chart chart set chart", "image: "+repo+":", "kind: CustomResourceDefinition", "namespace: ns")
	if fromProject.Stdout != want {
		t.Errorf("the project renders\n%s\nwant\n%s", fromProject.Stdout, want)
	}
	cli.Run(dir, nil, "bundle", "copy", "--from", repo+":1.2.3", "--to", "archive:app.tar.zst").Must(t)
	cli.Run(dir, nil, "bundle", "copy", "--from", repo+":1.2.3", "--to", "oci:layout:1.2.3").Must(t)
	helm(t, cli, dir, "pull", "--plain-http", "oci://"+repo, "--version", "1.2.3", "--untar")
	for _, which := range [][]string{
		{repo + ":1.2.3"}, {"archive:app.tar.zst"}, {"oci:layout:1.2.3"}, {"--repo", repo, "--tag", "1.2.3"}, {"--bundle-dir", "app"},
	} {
		args := append([]string{"bundle", "render", "--release", "rel", "--namespace", "ns", "--set", "c=set", "--validate"}, which...)
		if got := cli.Run(dir, nil, args...).Must(t).Stdout; got != want {
			t.Errorf("%v renders\n%s\nwant\n%s", which, got, want)
		}
	}
	r := cli.Run(dir, []string{"WERF_REPO=elsewhere.invalid/x", "WERF_NAMESPACE=ns"}, "bundle", "render", repo+":1.2.3", "--release", "rel", "--include-crds=false", "--env", "prod", "-s", "templates/values.yaml").Must(t)
	wantLines(t, r.Stdout, "chart chart chart chart", "env: 'prod prod ns'")
	if strings.Contains(r.Stdout, "kind: Pod") {
		t.Errorf("more is shown than asked for:\n%s", r.Stdout)
	}
}

// With stubs no registry is asked: there is none.
func TestRenderStubs(t *testing.T) {
	t.Parallel()
	cli, project := testenv.Slipway(t), testenv.GitRepo(t, renderApp)
	project.Write("werf.yaml", renderApp["werf.yaml"]+"---\nimage: other\nfrom: alpine\n---\nartifact: no\nfrom: alpine\n")
	project.Write("Dockerfile", "FROM nowhere.invalid/x\nCOPY $FROM_BASE /\n")
	project.Write(".helm/templates/stub.yaml", "kind: {{ .Values.werf.is_stub }} {{ .Values.werf.stub_image }} {{ .Values.werf.image.other }} {{ .Values.global.werf.images.web.ref_tag }}")
	project.Commit("stubs")
	r := cli.Run(project.Dir, nil, "render", "--stub-tags").Must(t)
	wantLines(t, r.Stdout, "image: REPO:TAG", "metadata: {name: app}", "namespace: app", "kind: true REPO:TAG REPO:TAG REPO:TAG", "env: '  app'")
	env := []string{
		"WERF_REPO=127.0.0.1:1/x", "WERF_ENV=Prod_1", "WERF_VALUES_1=prod.yaml", "WERF_SET_1=b=set\\,", "WERF_SET_STRING_1=c=007",
		"WERF_SET_LITERAL_1=d=no", "WERF_SET_JSON_1=d=\"json\"",
	}
	r = cli.Run(project.Dir, env, "render", "--stub-tags").Must(t)
	wantLines(t, r.Stdout, "image: 127.0.0.1:1/x:TAG", "file set, 007 no", "namespace: app-prod-1-", "env: 'Prod_1 Prod_1 app-prod-1-")
	if r.Stderr != "" {
		t.Errorf("standard error says %s", r.Stderr)
	}
}

// The output is there whole or not at all, and mistakes are told where they are.
func TestRenderFailures(t *testing.T) {
	t.Parallel()
	cli, project := testenv.Slipway(t), testenv.GitRepo(t, renderApp)
	out := filepath.Join(t.TempDir(), "out.yaml")
	cli.Run(project.Dir, nil, "render", "--stub-tags", "--output", out).Must(t)
	before, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(before), "kind: Pod") {
		t.Fatalf("%s, %v", before, err)
	}
	project.Write("bad/Chart.yaml", "apiVersion: v2\nname: bad\nversion: 1.0.0\n")
	project.Write("bad/templates/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {nodename: {{ .Values.node }}}\n---\napiVersion: example.org/v1\nkind: Foo\n")
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"fields", []string{"bundle", "render", "-b", "bad", "--validate"}, []string{"bad/templates/a.yaml: Pod a: spec.nodename is not a field of spec; did you mean nodeName? (line 4", "not checked, as it is not Kubernetes' own: example.org/v1 Foo\n"}},
		{"nothing to show", []string{"render", "--stub-tags", "-s", "templates/x.yaml"}, []string{"templates/x.yaml renders nothing", "these do: crds/foo.yaml, templates/values.yaml, templates/a.yaml"}},
		{"values that are not committed", []string{"render", "--stub-tags", "--values", "bad/values.yaml"}, []string{"bad/values.yaml", "no file bad/values.yaml in the commit"}},
		{"values that are not there", []string{"bundle", "render", "-b", "bad", "--values", "none.yaml"}, []string{"--values none.yaml"}},
		{"version", []string{"render", "--stub-tags", "--kube-version", "x"}, []string{`"x" is no version of Kubernetes`}},
		{"release", []string{"render", "--stub-tags", "--release", "X"}, []string{`"X" cannot be the name of a release`}},
		{"no bundle", []string{"bundle", "render"}, []string{"which bundle?"}},
		{"two bundles", []string{"bundle", "render", "-b", "bad", "--repo", "x.invalid/y"}, []string{"both say which bundle"}},
		{"not a chart", []string{"bundle", "render", "-b", "."}, []string{"this is not a chart"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := cli.Run(project.Dir, nil, append(test.args, "--output", out)...)
			if r.Code != 2 || r.Stdout != "" {
				t.Errorf("exit code %d, standard output %q", r.Code, r.Stdout)
			}
			wantLines(t, r.Stderr, test.want...)
			if after, err := os.ReadFile(out); err != nil || string(after) != string(before) {
				t.Errorf("the output is now %s, %v", after, err)
			}
		})
	}
	project.Write(".helm/templates/_x.tpl", "{{ define \"x\" }}\n{{ .none.nothing.here }}{{ end }}")
	project.Write(".helm/templates/b.yaml", "a: {{ include \"x\" . }}")
	project.Commit("a mistake")
	r := cli.Run(project.Dir, nil, "render", "--stub-tags")
	wantLines(t, r.Stderr, ".helm/templates/_x.tpl:2:", "2 | {{ .none.nothing.here }}", "nil pointer", "called from .helm/templates/b.yaml:1")
	if r.Code != 2 || r.Stdout != "" {
		t.Errorf("exit code %d, %s", r.Code, r.Stdout)
	}
}

// Encrypted values are decrypted, and win over what is set; without the key that
// is an error.
func TestRenderSecrets(t *testing.T) {
	t.Parallel()
	cli, dir := testenv.Slipway(t), t.TempDir()
	key := strings.TrimSpace(cli.Run(dir, nil, "helm", "secret", "generate-secret-key").Must(t).Stdout)
	env := []string{"WERF_SECRET_KEY=" + key}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n")
	write("c/values.yaml", "db: {user: chart, password: chart}\n")
	write("c/templates/a.yaml", "kind: {{ .Values.db.user }} {{ .Values.db.password }}\n")
	write("plain.yaml", "db: {password: hunter2}\n")
	cli.Run(dir, env, "helm", "secret", "values", "encrypt", "plain.yaml", "-o", "c/secret-values.yaml").Must(t)
	r := cli.Run(dir, env, "bundle", "render", "-b", "c", "--set", "db.password=set,db.user=set").Must(t)
	wantLines(t, r.Stdout, "kind: set hunter2")

	for name, env := range map[string][]string{"no key": nil, "another key": {"WERF_SECRET_KEY=" + strings.Repeat("0", 32)}} {
		r := cli.Run(dir, env, "bundle", "render", "-b", "c")
		if r.Code != 2 || r.Stdout != "" || !strings.Contains(r.Stderr, "c/secret-values.yaml") || !strings.Contains(r.Stderr, "secret key") {
			t.Errorf("%s: exit code %d\n%s%s", name, r.Code, r.Stdout, r.Stderr)
		}
	}
	// What is rendered is not quoted then.
	write("c/templates/b.yaml", "a: {{ .Values.db.password }}: b\n")
	r = cli.Run(dir, env, "bundle", "render", "-b", "c")
	if r.Code != 2 || !strings.Contains(r.Stderr, "c/templates/b.yaml: what it renders is not YAML") || strings.Contains(r.Stderr, "hunter2") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
	write("c/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n")
	write("c/charts/sub/secret-values.yaml", "x: y\n")
	r = cli.Run(dir, env, "bundle", "render", "-b", "c")
	if r.Code != 2 || !strings.Contains(r.Stderr, "c/charts/sub/secret-values.yaml: encrypted values of sub-charts are not supported") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// Templates without an end: those that eat the stack are an error, and Ctrl-C
// ends the others.
func TestRenderWithoutEnd(t *testing.T) {
	cli, dir := testenv.Slipway(t), t.TempDir()
	const names = 2000 // Helm stops each name at its thousandth
	var ring strings.Builder
	for i := range names {
		fmt.Fprintf(&ring, "{{ define \"x%d\" }}{{ include \"x%d\" . }}{{ end }}\n", i, (i+1)%names)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n")
	write("templates/a.yaml", ring.String()+"{{ include \"x0\" . }}")
	r := cli.Run(dir, nil, "bundle", "render", "-b", ".")
	if r.Code != 2 || !strings.Contains(r.Stderr, "the templates of chart c call themselves without end") || strings.Contains(r.Stderr, "goroutine") {
		t.Errorf("exit code %d\n%.2000s", r.Code, r.Stderr)
	}
	write("templates/a.yaml", "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	r = cli.RunContext(ctx, dir, nil, "bundle", "render", "-b", ".")
	if r.Code != 1 || !strings.Contains(r.Stderr, "context canceled") { // one that heeds no signal is killed: -1
		t.Errorf("exit code %d\n%.2000s", r.Code, r.Stderr)
	}
}
