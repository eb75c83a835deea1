package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	helmchart "helm.sh/helm/v3/pkg/chart"
)

const digest = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"

var options = Options{
	Project: "mybundle",
	Version: "1.2.3",
	Repo:    "example.org/group/app",
	Env:     "staging",
	Images: []Image{
		{Name: "myapp", Repo: "example.org/group/app", Tag: "key1", Digest: digest},
		{Name: "a/b-c", Repo: "localhost:5000/app", Tag: "key2", Digest: digest},
	},
	Commit: &Commit{
		Hash: "8d2e36e4a3f1f0c3f3dbd2ef8e1a4d7b8a1d6e55",
		Date: time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3*3600)),
	},
}

func configMap(name, data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n" + data
}

func TestHelmRendersServiceValues(t *testing.T) {
	out := render(t, map[string]string{
		"templates/cm.yaml": configMap("all", `
  chart: {{ .Chart.Name }} {{ .Chart.Version }}
  image: {{ $.Values.werf.image.myapp }}
  slash: {{ index .Values.werf.image "a/b-c" }}
  tag: {{ .Values.werf.tag.myapp }}
  name: {{ .Values.werf.name }}
  repo: {{ .Values.werf.repo }}
  version: {{ semverCompare ">=1.2" .Values.werf.version }}
  env: {{ .Values.werf.env }} {{ .Values.global.env }} {{ .Values.global.werf.env }}
  hash: {{ .Values.werf.commit.hash }}
  human: {{ .Values.werf.commit.date.human }}
  unix: {{ .Values.global.werf.commit.date.unix }}
  namespace: {{ .Values.werf.namespace | default "none" }}
{{- range $key, $value := .Values.global.werf.images.myapp }}
  i_{{ $key }}: {{ $value }}
{{- end }}
{{- range $key, $value := index .Values.global.werf.images "a/b-c" }}
  s_{{ $key }}: {{ $value }}
{{- end }}
`),
	}, options)
	wants(t, out,
		"chart: mybundle 1.2.3",
		"image: example.org/group/app:key1",
		"slash: localhost:5000/app:key2",
		"tag: key1",
		"name: mybundle",
		"repo: example.org/group/app",
		"version: true",
		"env: staging staging staging",
		"hash: 8d2e36e4a3f1f0c3f3dbd2ef8e1a4d7b8a1d6e55",
		"human: 2026-03-04 02:06:07 +0000 UTC",
		"unix: 1772589967",
		"namespace: none",
		"i_registry: example.org",
		"i_namespace: group",
		"i_name: app",
		"i_repository: group/app",
		"i_image: example.org/group/app",
		"i_tag: key1",
		"i_digest: "+digest,
		"i_tag_digest: key1@"+digest,
		"i_ref: example.org/group/app:key1@"+digest,
		"i_ref_tag: example.org/group/app:key1",
		"i_repository_ref: group/app:key1@"+digest,
		"i_repository_tag: group/app:key1",
		"i_name_ref: app:key1@"+digest,
		"i_name_tag: app:key1",
		"s_registry: localhost:5000",
		"s_namespace:",
		"s_ref: localhost:5000/app:key2@"+digest,
	)
}

func TestHelmTakesTheChart(t *testing.T) {
	files := map[string]string{
		"Chart.yaml":                        "apiVersion: v2\nname: web\nversion: 0.1.0\nicon: https://example.org/i.png\ndependencies:\n- {name: sub, version: 0.0.1}\n",
		"values.yaml":                       "replicas: 2\n",
		"templates/myapp.yaml":              example,
		"templates/NOTES.txt":               "hello",
		"templates/_helpers.tpl":            `{{ define "x" }}y{{ end }}`,
		"crds/foo.yaml":                     "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: foos.example.org\n",
		"charts/sub/Chart.yaml":             "apiVersion: v2\nname: sub\nversion: 0.0.1\n",
		"charts/sub/templates/a.yaml":       configMap("sub", "  ref: {{ .Values.global.werf.images.myapp.ref }}\n  env: {{ .Values.global.env }}\n"),
		"files/" + strings.Repeat("x", 120): "a name that the old tar format cannot hold",
		"files/файл с пробелом.txt":         "a name in UTF-8, with spaces",
		"templates/.hidden":                 "{{ not a template }}",
	}
	p := pack(t, load(t, files), options)
	if p.Name != "web" || p.Version != "1.2.3" {
		t.Errorf("packed %s %s, want web 1.2.3", p.Name, p.Version)
	}
	file := save(t, p)
	if out := mustHelm(t, "lint", "--strict", file); !strings.Contains(out, "1 chart(s) linted, 0 chart(s) failed") {
		t.Error(out)
	}
	wants(t, mustHelm(t, "show", "chart", file), "apiVersion: v2", "name: web", "version: 1.2.3", "icon: https://example.org/i.png")
	wants(t, mustHelm(t, "template", "--include-crds", "r", file),
		"image: example.org/group/app:key1",
		"ref: example.org/group/app:key1@"+digest,
		"env: staging",
		"kind: CustomResourceDefinition",
	)
}

func TestChartOfNothingButATemplate(t *testing.T) {
	p := pack(t, load(t, map[string]string{"templates/a.yaml": "a: b"}), Options{Project: "proj"})
	if p.Name != "proj" || p.Version != "1.0.0" {
		t.Errorf("packed %s %s, want proj 1.0.0", p.Name, p.Version)
	}
	wants(t, mustHelm(t, "template", "r", save(t, p)), "a: b")
}

func TestOptionsOverChartYAML(t *testing.T) {
	s := load(t, map[string]string{"Chart.yaml": "name: a\nversion: 0.1.0\nappVersion: 1.10.0\n"})
	for _, test := range []struct {
		name                      string
		options                   Options
		chart, version, wantAppli string
	}{
		{"none", Options{Project: "p"}, "a", "0.1.0", "1.10.0"},
		{"all", Options{Project: "p", ChartName: "b", Version: "2.0.0+x", AppVersion: "7"}, "b", "2.0.0+x", "7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := pack(t, s, test.options)
			var meta helmchart.Metadata
			if err := json.Unmarshal(p.Config, &meta); err != nil {
				t.Fatal(err)
			}
			if p.Name != test.chart || meta.Name != test.chart || p.Version != test.version || meta.Version != test.version || meta.AppVersion != test.wantAppli {
				t.Errorf("got %s %s, config %s", p.Name, p.Version, p.Config)
			}
		})
	}
}

func TestConfigAndAnnotationsAsHelmMakesThem(t *testing.T) {
	p := pack(t, load(t, map[string]string{
		"Chart.yaml": `
apiVersion: v2
name: web
version: 0.1.0
description: <a> web
home: https://example.org
kubeVersion: ">=1.20"
type: application
keywords: [a, b]
sources: [https://git.example.org/web, https://other.example.org]
maintainers:
- {name: Ann, email: ann@example.org}
- {name: Bob}
annotations:
  example.org/x: "1"
  org.opencontainers.image.title: not this
`}), Options{Project: "p", Version: "1.2.3"})

	const config = `{"name":"web","home":"https://example.org","sources":["https://git.example.org/web","https://other.example.org"],` +
		`"version":"1.2.3","description":"\u003ca\u003e web","keywords":["a","b"],` +
		`"maintainers":[{"name":"Ann","email":"ann@example.org"},{"name":"Bob"}],"apiVersion":"v2",` +
		`"annotations":{"example.org/x":"1","org.opencontainers.image.title":"not this"},"kubeVersion":"\u003e=1.20","type":"application"}`
	if string(p.Config) != config {
		t.Errorf("config:\n%s\nwant:\n%s", p.Config, config)
	}
	want := map[string]string{
		"org.opencontainers.image.title":       "web",
		"org.opencontainers.image.version":     "1.2.3",
		"org.opencontainers.image.description": "<a> web",
		"org.opencontainers.image.url":         "https://example.org",
		"org.opencontainers.image.source":      "https://git.example.org/web",
		"org.opencontainers.image.authors":     "Ann (ann@example.org), Bob",
		"example.org/x":                        "1",
	}
	if !maps.Equal(p.Annotations, want) {
		t.Errorf("annotations: %v\nwant: %v", p.Annotations, want)
	}
}

func TestRequirementsOfOldCharts(t *testing.T) {
	p := pack(t, load(t, map[string]string{
		"Chart.yaml":                  "apiVersion: v1\nname: old\nversion: 0.1.0\n",
		"requirements.yaml":           "dependencies:\n- name: sub\n  alias: other\n  version: 0.0.1\n  repository: https://example.org\n",
		"requirements.lock":           "digest: sha256:00\ngenerated: \"2026-01-01T00:00:00Z\"\ndependencies:\n- {name: sub, version: 0.0.1, repository: https://example.org}\n",
		"charts/sub/Chart.yaml":       "apiVersion: v1\nname: sub\nversion: 0.0.1\n",
		"charts/sub/templates/a.yaml": configMap("sub", "  me: {{ .Chart.Name }}\n"),
	}), options)
	wants(t, mustHelm(t, "template", "r", save(t, p)), "me: other")
	if got := names(t, p); !slices.Contains(got, "old/Chart.lock") || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "requirements") }) {
		t.Errorf("files: %q", got)
	}
}

// entries reads the tar inside an archive.
func entries(t *testing.T, p *Package) (headers []*tar.Header, raw []byte) {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(p.Archive))
	if err != nil {
		t.Fatal(err)
	}
	if gz.Name != "" || gz.Comment != "" || gz.Extra != nil || !gz.ModTime.IsZero() || gz.OS != 255 {
		t.Errorf("gzip header: %+v", gz.Header)
	}
	if raw, err = io.ReadAll(gz); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return headers, raw
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
	}
}

func names(t *testing.T, p *Package) (all []string) {
	headers, _ := entries(t, p)
	for _, h := range headers {
		all = append(all, h.Name)
	}
	return all
}

func TestArchive(t *testing.T) {
	p := pack(t, load(t, map[string]string{
		"values.yaml": "b: 2\na: 1\n", "README.md": "x", "templates/z.yaml": "", "templates/a.yaml": "", "LICENSE": "", "other": "",
	}), options)
	headers, raw := entries(t, p)
	want := []string{"mybundle/Chart.yaml", "mybundle/LICENSE", "mybundle/README.md", "mybundle/templates/a.yaml", "mybundle/templates/z.yaml", "mybundle/values.yaml"}
	if got := names(t, p); !slices.Equal(got, want) {
		t.Errorf("files: %q\nwant:  %q", got, want)
	}
	for _, h := range headers {
		if h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.ModTime.Unix() != 315619200 || h.Typeflag != tar.TypeReg {
			t.Errorf("%+v", h)
		}
	}
	// Everything that was ever published has these bytes for this input: a change
	// here gives every bundle a new digest.
	sum := sha256.Sum256(raw)
	if got := hex.EncodeToString(sum[:]); got != "21473af5a77753d80ec80ff7a3b98cef38432f52e8630bde45b5951cb934136c" {
		t.Errorf("sha256 of the tar is %s", got)
	}
}

// reversed lists directories backwards: what an order of the file system's own
// would look like.
type reversed struct{ fs.FS }

func (r reversed) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(r.FS, name)
	slices.Reverse(entries)
	return entries, err
}

func TestSameContentSameBytes(t *testing.T) {
	files := map[string]string{
		"Chart.yaml": "name: web\nversion: 0.1.0\nannotations: {b: x, a: y, c: z}\n", "values.yaml": "b: {d: 1, c: 2}\na: 1\n",
		"templates/a.yaml": "x", "templates/b.yaml": "y", "charts/s/Chart.yaml": "name: s\nversion: 0.1.0\n", "charts/u/Chart.yaml": "name: u\nversion: 0.1.0\n",
	}
	first := pack(t, load(t, files), options)
	again := options
	again.Images = slices.Clone(options.Images)
	slices.Reverse(again.Images)
	touched := tree(files)
	for _, f := range touched {
		f.ModTime, f.Mode = time.Now(), 0o755
	}
	s, err := Load(t.Context(), reversed{touched}, ".helm", LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if p := pack(t, s, again); !bytes.Equal(p.Archive, first.Archive) || !bytes.Equal(p.Config, first.Config) {
			t.Fatal("other bytes for the same content")
		}
	}
}

func TestCommitEntersOnlyIfMentioned(t *testing.T) {
	other := options
	other.Commit = &Commit{Hash: "0000000000000000000000000000000000000000", Date: time.Unix(1, 0)}
	for _, test := range []struct {
		name, file, text string
		want             bool
	}{
		{"field", "templates/a.yaml", "{{ .Values.werf.commit.hash }}", true},
		{"field of a variable", "templates/a.yaml", "{{ $w.commit }}", true},
		{"at the end of a file", "templates/_h.tpl", "{{/* .commit", true},
		{"string", "templates/a.yaml", `{{ index .Values.werf "commit" }}`, true},
		{"raw string", "templates/a.yaml", "{{ dig \"werf\" `commit` }}", true},
		{"values through tpl", "values.yaml", "a: '{{ .Values.werf.commit.hash }}'", true},
		{"file through tpl", "files/app.ini", "sha={{ .Values.global.werf.commit.hash }}", true},
		{"sub-chart", "charts/s/templates/a.yaml", "{{ .Values.global.werf.commit.hash }}", true},
		{"prose", "README.md", "Do not commit secrets.", false},
		{"other words", "templates/a.yaml", "{{ .Values.commitment }}{{ .Values.x.commit_id }} .commit-id", false},
		{"whole map", "templates/a.yaml", "{{ toYaml .Values.werf }}", false},
		{"nothing", "templates/a.yaml", "x", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := load(t, map[string]string{"charts/s/Chart.yaml": "name: s\nversion: 0.1.0\n", test.file: test.text})
			if got := s.MentionsCommit(); got != test.want {
				t.Errorf("MentionsCommit() = %v", got)
			}
			if differ := !bytes.Equal(pack(t, s, options).Archive, pack(t, s, other).Archive); differ != test.want {
				t.Errorf("another commit gives another archive: %v", differ)
			}
		})
	}
}

func TestCommitMentionedInAnArchivedSubChart(t *testing.T) {
	sub := pack(t, load(t, map[string]string{"templates/a.yaml": configMap("s", "  c: {{ .Values.global.werf.commit.hash }}\n")}), Options{Project: "sub"})
	files := map[string]string{
		"Chart.yaml":           "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- {name: sub, version: ^1, repository: 'https://example.org'}\n",
		"charts/sub-1.0.0.tgz": string(sub.Archive),
	}
	if !load(t, files).MentionsCommit() {
		t.Error("the commit is not seen in charts/sub-1.0.0.tgz")
	}
	wants(t, render(t, files, options), "c: "+options.Commit.Hash)
}

func TestPackageRefuses(t *testing.T) {
	s := load(t, map[string]string{"templates/a.yaml": "x"})
	image := options.Images[0]
	for _, test := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no name", Options{}, `cannot be named ""`},
		{"path for a name", Options{ChartName: "a/b"}, `cannot be named "a/b"`},
		{"bad version", Options{Project: "p", Version: "latest"}, `with the version "latest"`},
		{"same name twice", Options{Project: "p", Images: []Image{image, image}}, `two images are named "myapp"`},
		{"no digest", Options{Project: "p", Images: []Image{{Name: "x", Repo: "r", Tag: "t"}}}, `the image "x" lacks`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := s.Package(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
