package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// chartProject is a project of a chart and no image: what is tested with it is the
// chart.
func chartProject(t *testing.T, files map[string]string) *testenv.Repo {
	all := map[string]string{
		"werf.yaml":                "project: app\nconfigVersion: 1\n",
		".helm/templates/all.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: all}\ndata:\n  all: {{ toJson (omit .Values \"werf\" \"global\") | squote }}\n",
	}
	for name, text := range files {
		all[name] = text
	}
	return testenv.GitRepo(t, all)
}

// published is a bundle as Helm pulls it, in a directory of its own.
func published(t *testing.T, registry *testenv.RegistryServer, repository, version string) (chart string) {
	t.Helper()
	cli, dir := testenv.Slipway(t), t.TempDir()
	helm(t, cli, dir, "pull", "oci://"+registry.Host+"/"+repository, "--version", version, "--plain-http", "--untar", "--untardir", dir)
	return filepath.Join(dir, filepath.Base(repository))
}

// rendered is what Helm makes of it with no values of its own.
func rendered(t *testing.T, chart string, args ...string) string {
	t.Helper()
	return helm(t, testenv.Slipway(t), t.TempDir(), append([]string{"template", "r", chart}, args...)...)
}

func TestBundleValues(t *testing.T) {
	t.Parallel()
	repo := chartProject(t, map[string]string{
		".helm/values.yaml":   "own: 1\nb: {c: 1}\n",
		"ci/prod.yaml":        "b: {d: 2}\nfrom: file\n",
		"ci/text":             "text",
		"elsewhere/other/x.y": "",
	})
	repo.Write("../outside.yaml", "from: outside\n")
	registry := testenv.Registry(t)
	args := []string{"bundle", "publish", "--repo", registry.Host + "/bundles/app", "--tag", "1.0.0"}
	for name, test := range map[string]struct {
		dir  string
		env  []string
		args []string
		want string
	}{
		"the chart's":            {"", nil, nil, `{"b":{"c":1},"own":1}`},
		"a file of the commit":   {"", nil, []string{"--values", "ci/prod.yaml"}, `{"b":{"c":1,"d":2},"from":"file","own":1}`},
		"relative to the user":   {"elsewhere/other", nil, []string{"--dir", "../..", "--values", "../../ci/prod.yaml"}, `{"b":{"c":1,"d":2},"from":"file","own":1}`},
		"an absolute path":       {"", nil, []string{"--values", filepath.Join(filepath.Dir(repo.Dir), "outside.yaml")}, `{"b":{"c":1},"from":"outside","own":1}`},
		"each kind":              {"", nil, []string{"--set", "a=1,b.c=x", "--set-string", "s=1", "--set-file", "f=ci/text", "--set-json", `j={"k":[1]}`, "--set-literal", "l=a,b"}, `{"a":1,"b":{"c":"x"},"f":"text","j":{"k":[1]},"l":"a,b","own":1,"s":"1"}`},
		"without defaults":       {"", nil, []string{"--disable-default-values", "--set", "a=1"}, `{"a":1}`},
		"variables of each list": {"", []string{"WERF_SET_1=a=1", "WERF_SET_STRING_1=s=1", "WERF_SET_FILE_X=f=ci/text", "WERF_VALUES_1=ci/prod.yaml", "WERF_SET_DOCKER_CONFIG_JSON_VALUE=true"}, nil, `{"a":1,"b":{"c":1,"d":2},"f":"text","from":"file","own":1,"s":"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.Slipway(t).Run(filepath.Join(repo.Dir, test.dir), test.env, append(args, test.args...)...).Must(t)
			if got := rendered(t, published(t, registry, "bundles/app", "1.0.0")); !strings.Contains(got, "all: '"+test.want+"'") {
				t.Errorf("got\n%s\nwant %s", got, test.want)
			}
		})
	}
}

// What is wrong with the chart or its values is told before anything is built or
// pushed.
func TestBundleRefuses(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"werf.yaml":    "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile":   "FROM base\nCOPY ci /ci\n",
		"ci/prod.yaml": "replicas: x\n", "ci/bad.yaml": "a: 1\n\tb: 2\n",
		".helm/values.schema.json": `{"properties": {"replicas": {"type": "integer"}}}`,
	}
	for name, test := range map[string]struct {
		edit func(*testenv.Repo)
		args []string
		want []string
	}{
		"not of the schema":  {nil, []string{"--values", "ci/prod.yaml"}, []string{".helm/values.schema.json: ", "at '/replicas': got string, want integer"}},
		"not YAML":           {nil, []string{"--values", "ci/bad.yaml"}, []string{"ci/bad.yaml:2"}},
		"not in the commit":  {nil, []string{"--values", "ci/none.yaml"}, []string{"no file ci/none.yaml in the commit", "helm.allowUncommittedFiles"}},
		"uncommitted change": {func(r *testenv.Repo) { r.Write("ci/prod.yaml", "replicas: 2\n") }, []string{"--set-file", "a=ci/prod.yaml"}, []string{"ci/prod.yaml", "commit"}},
		"outside":            {nil, []string{"--values", "../x.yaml"}, []string{"../x.yaml is outside of the project", "absolute"}},
		"from the network":   {nil, []string{"--values", "https://example.org/values.yaml"}, []string{"https://example.org/values.yaml"}},
		"absolute, missing":  {nil, []string{"--values", "/nowhere/values.yaml"}, []string{"no file /nowhere/values.yaml"}},
		"bad --set":          {nil, []string{"--set", "a"}, []string{"--set a=…"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry, repo := testenv.Registry(t), chartProject(t, files)
			if test.edit != nil {
				test.edit(repo)
			}
			r := testenv.Slipway(t).Run(repo.Dir, nil, append([]string{"bundle", "publish", "--repo", registry.Host + "/app"}, test.args...)...)
			if r.Code != 2 {
				t.Errorf("exit code %d, want 2", r.Code)
			}
			for _, want := range test.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("no %q in\n%s", want, r.Stderr)
				}
			}
			if log := registry.Log(); len(log) > 0 {
				t.Errorf("requests: %v", log)
			}
		})
	}
}

// What werf-giterminism.yaml allows is read from the work tree; a schema may want
// more than is published; a value that names the commit, for tpl, gets it.
func TestBundleOptions(t *testing.T) {
	t.Parallel()
	repo, registry := chartProject(t, map[string]string{
		".helm/values.schema.json": `{"required": ["password"]}`,
		"ci/local.yaml":            "from: the commit\n",
		"werf-giterminism.yaml":    "giterminismConfigVersion: 1\nhelm: {allowUncommittedFiles: [ci/local.yaml]}\n",
	}), testenv.Registry(t)
	repo.Write("ci/local.yaml", "from: the work tree\n")
	args := []string{"bundle", "publish", "--repo", registry.Host + "/app", "--tag", "1.0.0", "--values", "ci/local.yaml"}
	if r := testenv.Slipway(t).Run(repo.Dir, nil, args...); r.Code != 2 || !strings.Contains(r.Stderr, "missing property 'password'") {
		t.Errorf("a value that is missing: exit code %d\n%s", r.Code, r.Stderr)
	}
	testenv.Slipway(t).Run(repo.Dir, nil, append(args, "--no-values-schema-validation", "--set-literal", "note={{ .Values.werf.commit.hash }}")...).Must(t)
	chart := published(t, registry, "app", "1.0.0")
	if got := rendered(t, chart, "--set", "password=x"); !strings.Contains(got, "the work tree") {
		t.Errorf("the allowed file was not read from the work tree:\n%s", got)
	}
	if values := helm(t, testenv.Slipway(t), t.TempDir(), "show", "values", chart); !strings.Contains(values, repo.Git("rev-parse", "HEAD")) {
		t.Errorf("no commit in\n%s", values)
	}
}

func TestBundleChart(t *testing.T) {
	t.Parallel()
	repo, registry := chartProject(t, map[string]string{
		".helm/Chart.yaml": "apiVersion: v2\nname: own\nversion: 0.1.0\n", ".helm/.helmignore": "*.bak\n", ".helm/files/a.bak": "", ".helm/files/a": "a", ".helm/config/a": "a",
	}), testenv.Registry(t)
	for name, test := range map[string]struct {
		env, args   []string
		chart       string // its name
		annotations string
		labels      string // "" is no file
		note        bool   // of what is left out
	}{
		"as it is": {chart: "app", annotations: `{"project.werf.io/name":"app"}`, note: true},
		"annotated": {
			[]string{"WERF_ADD_ANNOTATION_1=b=c=d", "WERF_ADD_LABEL_X=l=1"}, []string{"--env", "test", "--add-annotation", "a=<b>", "--add-label", "k="},
			"app", `{"a":"\u003cb\u003e","b":"c=d","project.werf.io/env":"test","project.werf.io/name":"app"}`, `{"k":"","l":"1"}`, true},
		"its own name": {args: []string{"--helm-compatible-chart=false"}, chart: "own", annotations: `{"project.werf.io/name":"app"}`, note: true},
		"another name": {args: []string{"--rename-chart", "other", "-C"}, chart: "other", annotations: `{"project.werf.io/name":"app"}`, note: true},
		"all files":    {[]string{"WERF_BUNDLE_SCHEMA_NONSTRICT=1"}, nil, "app", `{"project.werf.io/name":"app"}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Slipway(t).Run(repo.Dir, test.env, append([]string{"bundle", "publish", "--repo", registry.Host + "/app", "--tag", "1.0.0"}, test.args...)...).Must(t)
			if got := strings.Contains(r.Stderr, "not published with the chart: config/a; --bundle-schema-nonstrict"); got != test.note {
				t.Errorf("said what is left out: %v\n%s", got, r.Stderr)
			}
			cli, dir := testenv.Slipway(t), t.TempDir()
			helm(t, cli, dir, "pull", "oci://"+registry.Host+"/app@"+registry.Digest("app:1.0.0"), "--plain-http", "--untar", "--untardir", dir)
			read := func(name string) string {
				text, err := os.ReadFile(filepath.Join(dir, test.chart, name))
				if err != nil {
					return err.Error()
				}
				return strings.TrimSuffix(string(text), "\n")
			}
			if got := read("extra_annotations.json"); got != test.annotations {
				t.Errorf("annotations %s, want %s", got, test.annotations)
			}
			if got := read("extra_labels.json"); got != test.labels && (test.labels != "" || !strings.Contains(got, "no such file")) {
				t.Errorf("labels %s, want %q", got, test.labels)
			}
			if got := read("config/a"); (got == "a") == test.note {
				t.Errorf("config/a: %s", got)
			}
			if got, none := read("files/a"), read("files/a.bak"); got != "a" || !strings.Contains(none, "no such file") {
				t.Errorf("files/a: %q, files/a.bak: %q", got, none)
			}
		})
	}
}

// Encrypted values and files stay as they are, and no key is asked for.
func TestBundleSecrets(t *testing.T) {
	t.Parallel()
	repo, registry := chartProject(t, map[string]string{
		".helm/secret-values.yaml": "a: \"1000aa\"\nb: \"1000bb\"\n", "ci/secret.yaml": "b: \"1000cc\"\n", "ci/plain.yaml": "b: password\n", ".helm/secret/key.pem": "1000dd\n",
	}), testenv.Registry(t)
	args := []string{"bundle", "publish", "--repo", registry.Host + "/app", "--tag", "1.0.0", "--secret-values"}
	r := testenv.Slipway(t).Run(repo.Dir, nil, append(args, "ci/secret.yaml")...).Must(t)
	if !strings.Contains(r.Stderr, "only an installer that has the project's key") {
		t.Errorf("did not say who can install it:\n%s", r.Stderr)
	}
	chart := published(t, registry, "app", "1.0.0")
	for name, want := range map[string]string{"secret-values.yaml": "a: \"1000aa\"\nb: \"1000cc\"\n", "secret/key.pem": "1000dd\n"} {
		if got, err := os.ReadFile(filepath.Join(chart, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	if r := testenv.Slipway(t).Run(repo.Dir, nil, append(args, "ci/plain.yaml")...); r.Code != 2 || !strings.Contains(r.Stderr, "ci/plain.yaml:1: the value of b is not encrypted") || strings.Contains(r.Stderr, "password") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}
