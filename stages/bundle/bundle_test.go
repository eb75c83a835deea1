package bundle

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"slipway/stages/chart"
	"slipway/stages/chart/render"

	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

const (
	digestA = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
	digestB = "sha256:5bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d2"
)

// ownValues are what publishing writes.
const ownValues = `global:
  werf:
    images:
      a/b:
        digest: ` + digestA + `
        image: src.example.org/group/app
        name: app
        name_ref: app:key1@` + digestA + `
        namespace: group
        ref: src.example.org/group/app:key1@` + digestA + `
        registry: src.example.org
        tag: key1
    name: p
    repo: src.example.org/group/app
# Who reads this?
db: {repository: redis, tag: "7"} # a comment
proxy:
  image: nginx:1.27 # another
name: redis
werf:
  image:
    a/b: src.example.org/group/app:key1
  nameless_image: src.example.org/group/app:key0
  repo: src.example.org/group/app
  tag:
    a/b: key1
`

func archive(t *testing.T, root string, files map[string]string) []byte {
	t.Helper()
	var list []*loader.BufferedFile
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, &loader.BufferedFile{Name: name, Data: []byte(files[name])})
	}
	data, err := chart.WriteArchive(root, list)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func example(t *testing.T) []byte {
	sub := string(archive(t, "packed", map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: packed\nversion: 1.0.0\n",
		"values.yaml": "werf: {image: {inner: 'other.example.org/inner:k'}}\n",
	}))
	return archive(t, "web", map[string]string{
		"Chart.yaml":              "apiVersion: v2\nname: web\nversion: 1.2.3\n",
		"values.yaml":             ownValues,
		"templates/a.yaml":        "kind: Pod\nspec:\n  containers:\n  - image: {{ .Values.proxy.image }}\n  - image: \"{{ .Values.db.repository }}:{{ .Values.db.tag }}\"\n  - image: {{ index .Values.werf.image \"a/b\" }}\n",
		"charts/packed-1.0.0.tgz": sub,
		"charts/plain/Chart.yaml": "apiVersion: v2\nname: plain\nversion: 1.0.0\n",
		"charts/plain/values.yaml": "# kept\nwerf:\n  nameless_image: \"other.example.org/plain:k\"\n" +
			"image: 'src.example.org/x' # not of the service values\n",
	})
}

func read(t *testing.T, data []byte) *Bundle {
	t.Helper()
	b, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(images []Image) string {
	var b strings.Builder
	for _, i := range images {
		fmt.Fprintf(&b, "%s %q %q %s\n", i.Kind, i.Chart, i.Name, i.Ref)
	}
	return b.String()
}

func TestImages(t *testing.T) {
	got := list(read(t, example(t)).Images())
	want := `nameless "" "" src.example.org/group/app:key0
image "" "a/b" src.example.org/group/app:key1@` + digestA + `
nameless "charts/plain" "" other.example.org/plain:k
image "charts/packed" "inner" other.example.org/inner:k
`
	if got != want {
		t.Errorf("images:\n%s\nwant:\n%s", got, want)
	}
}

// moved places every image in one repository.
func moved(i Image) (Ref, error) {
	return Ref{Repo: "dst.example.org/all", Tag: i.Ref.Tag, Digest: digestB}, nil
}

func TestRewrite(t *testing.T) {
	b := read(t, example(t))
	changes := Changes{Name: "all", Version: "2.0.0", Repo: "dst.example.org/all", Place: moved}
	pkg, err := b.Rewrite(changes)
	if err != nil {
		t.Fatal(err)
	}
	again := read(t, pkg.Archive)
	want := `nameless "" "" dst.example.org/all:key0
image "" "a/b" dst.example.org/all:key1@` + digestB + `
nameless "charts/plain" "" dst.example.org/all:k
image "charts/packed" "inner" dst.example.org/all:k
`
	if got := list(again.Images()); got != want {
		t.Errorf("images:\n%s\nwant:\n%s", got, want)
	}
	if again.Metadata.Name != "all" || again.Metadata.Version != "2.0.0" || pkg.Annotations["org.opencontainers.image.title"] != "all" {
		t.Errorf("metadata: %+v, annotations %v", again.Metadata, pkg.Annotations)
	}
	var fields struct {
		Global struct {
			Werf struct {
				Repo   string
				Images map[string]map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(again.Values(), &fields); err != nil {
		t.Fatal(err)
	}
	image := fields.Global.Werf.Images["a/b"]
	for key, value := range (chart.Image{Repo: "dst.example.org/all", Tag: "key1", Digest: digestB}).Fields() {
		if got, ok := image[key]; ok && got != value {
			t.Errorf("%s: %q, want %q", key, got, value)
		}
	}
	if fields.Global.Werf.Repo != "dst.example.org/all" {
		t.Errorf("repo: %q", fields.Global.Werf.Repo)
	}
	for _, kept := range []string{"# Who reads this?", `db: {repository: redis, tag: "7"} # a comment`, "  image: nginx:1.27 # another"} {
		if !strings.Contains(string(again.Values()), kept) {
			t.Errorf("%s is gone:\n%s", kept, again.Values())
		}
	}
	twice, err := b.Rewrite(changes)
	if err != nil || !bytes.Equal(twice.Archive, pkg.Archive) {
		t.Errorf("other bytes the second time: %v", err)
	}
	same, err := again.Rewrite(Changes{Place: func(i Image) (Ref, error) {
		i.Ref.Digest = digestB
		return i.Ref, nil
	}})
	if err != nil || !bytes.Equal(same.Archive, pkg.Archive) {
		t.Errorf("other bytes when nothing changes: %v", err)
	}
}

func TestExternalImages(t *testing.T) {
	b := read(t, example(t))
	external := map[string]Ref{
		"nginx:1.27": {Repo: "dst.example.org/all", Tag: "nginx-1.27", Digest: digestA},
		"redis:7":    {Repo: "dst.example.org/all", Tag: "redis-7", Digest: digestB},
	}
	pkg, err := b.Rewrite(Changes{Place: moved, External: external})
	if err != nil {
		t.Fatal(err)
	}
	b = read(t, pkg.Archive)
	images := rendered(t, b)
	want := []string{"dst.example.org/all:nginx-1.27@" + digestA, "dst.example.org/all:redis-7", "dst.example.org/all:key1"}
	if !slices.Equal(images, want) {
		t.Errorf("rendered %q, want %q", images, want)
	}
	if !strings.Contains(string(b.Values()), "\nname: redis\n") {
		t.Error("a mere word was taken for an image")
	}
	if got := list(b.Images()); !strings.HasSuffix(got, `external "" "nginx:1.27" dst.example.org/all:nginx-1.27@`+digestA+"\n"+
		`external "" "redis:7" dst.example.org/all:redis-7@`+digestB+"\n") {
		t.Errorf("the external images are not the bundle's own now:\n%s", got)
	}
	// And on to a third place, without being told of them again.
	pkg, err = b.Rewrite(Changes{Place: func(i Image) (Ref, error) {
		i.Ref.Repo = "third.example.org/x"
		return i.Ref, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range rendered(t, read(t, pkg.Archive)) {
		if !strings.HasPrefix(image, "third.example.org/x:") {
			t.Errorf("%s was left behind", image)
		}
	}
}

func rendered(t *testing.T, b *Bundle) []string {
	t.Helper()
	c, err := b.Chart()
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := render.Render(t.Context(), c, render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	images, err := render.Images(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

func TestExternalInTemplateIsRefused(t *testing.T) {
	_, err := read(t, example(t)).Rewrite(Changes{Place: moved, External: map[string]Ref{"busybox": {Repo: "x"}}})
	if err == nil || !strings.Contains(err.Error(), "no value of chart web gives the image busybox") {
		t.Errorf("got %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, test := range []struct {
		name, want string
		data       []byte
	}{
		{"no archive", "reading the chart", []byte("x")},
		{"no Chart.yaml", "no Chart.yaml", archive(t, "x", map[string]string{"a": "b"})},
		{"bad values", "values.yaml", archive(t, "x", map[string]string{"Chart.yaml": "name: x\nversion: 1.0.0\n", "values.yaml": "a: [\n"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Read(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestReplaceInPlace(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "werf: {image: {a: r/x:1}} # é\n", "werf: {image: {a: n/y:2}} # é\n"},
		{"after other letters", "é: ü\nwerf: {\"é\": é, image: {a: 'r/x:1'}}\n", "é: ü\nwerf: {\"é\": é, image: {a: n/y:2}}\n"},
		{"folded", "werf:\n  image:\n    a: >-\n      r/x:1\n", ""},
		{"anchored", "werf: {image: {a: &x r/x:1}}\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := read(t, archive(t, "x", map[string]string{"Chart.yaml": "name: x\nversion: 1.0.0\n", "values.yaml": test.text}))
			pkg, err := b.Rewrite(Changes{Place: func(Image) (Ref, error) { return Ref{Repo: "n/y", Tag: "2"}, nil }})
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), "cannot be replaced in place") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(read(t, pkg.Archive).Values()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(ownValues)
	f.Add("werf: {image: {a: x}}")
	f.Add("werf: &a {image: *a}")
	f.Fuzz(func(t *testing.T, values string) {
		b, err := Read(archive(t, "x", map[string]string{"Chart.yaml": "name: x\nversion: 1.0.0\n", "values.yaml": values}))
		if err != nil {
			return
		}
		pkg, err := b.Rewrite(Changes{Place: moved})
		if err != nil {
			return
		}
		for _, i := range read(t, pkg.Archive).Images() {
			if i.Ref.Repo != "dst.example.org/all" {
				t.Errorf("%q: %s is named after rewriting", values, i.Ref)
			}
		}
	})
}
