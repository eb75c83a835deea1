package chart

import (
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"
)

// packedValues are the values that Helm sees in the packed chart.
func packedValues(t *testing.T, valuesYAML string, o Options) map[string]any {
	t.Helper()
	data, err := load(t, map[string]string{"values.yaml": valuesYAML}).valuesYAML(o)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func TestServiceValuesWin(t *testing.T) {
	v := packedValues(t, `
replicas: 2
werf: {name: mine, image: {myapp: placeholder, gone: kept}, own: kept}
global: {env: mine, other: kept, werf: {images: {myapp: {tag: placeholder, own: kept}}}}
`, options)
	for _, test := range []struct {
		keys []string
		want any
	}{
		{[]string{"replicas"}, 2.0},
		{[]string{"werf", "name"}, "mybundle"},
		{[]string{"werf", "image", "myapp"}, "example.org/group/app:key1"},
		{[]string{"werf", "image", "gone"}, "kept"},
		{[]string{"werf", "own"}, "kept"},
		{[]string{"global", "env"}, "staging"},
		{[]string{"global", "other"}, "kept"},
		{[]string{"global", "werf", "images", "myapp", "tag"}, "key1"},
		{[]string{"global", "werf", "images", "myapp", "own"}, "kept"},
	} {
		if got := at(v, test.keys...); got != test.want {
			t.Errorf("%v = %v, want %v", test.keys, got, test.want)
		}
	}
}

func TestServiceValuesOfLittle(t *testing.T) {
	v := packedValues(t, "global:\nwerf: null\n", Options{Project: "p", Images: []Image{{Repo: "r/a", Tag: "t", Digest: digest}}})
	want := map[string]any{
		"werf": map[string]any{
			"name": "p", "version": "2.0.0", "repo": "", "image": map[string]any{}, "tag": map[string]any{},
			"is_nameless_image": true, "nameless_image": "r/a:t",
		},
		"global": map[string]any{
			"werf": map[string]any{
				"name": "p", "version": "2.0.0", "repo": "", "images": map[string]any{},
				"is_nameless_image": true, "nameless_image": "r/a:t",
			},
		},
	}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got  %v\nwant %v", v, want)
	}
}

func TestUsersValuesThatWouldBeLost(t *testing.T) {
	for text, want := range map[string]string{
		"global: all\n":         ".helm/values.yaml: global must be a map, is a string",
		"werf: [a]\n":           ".helm/values.yaml: werf must be a map, is a list",
		"global: {werf: 1}\n":   ".helm/values.yaml: global.werf must be a map, is a number",
		"werf: {image: true}\n": ".helm/values.yaml: werf.image must be a map, is a boolean",
	} {
		_, err := load(t, map[string]string{"values.yaml": text}).Package(options)
		checkError(t, err, want)
	}
}

// tricky is YAML whose values are easily changed by writing it anew.
const tricky = `
strings: ["yes", "on", "1.0", "0x1F", "012", "1_000", "1:30", "~", "null", "2001-01-01", "=", "1e3", "", " a ", "a: b", "# c", "'", "\u00e9\u2028\x07"]
bare: [yes, on, 1.0, 0x1F, 012, 1_000, 1:30, ~, 2001-01-01, 1e3, .5, -0.0]
large: [9007199254740993, 18446744073709551615, 123456789012345678901234567890, 1e400000, 0.1, 1e-7]
keys: {1: a, true: b, 1.5: c, "on": e}
text: |
  two
    lines

folded: >-
  a
  b
anchor: &a {x: 1}
alias: *a
merged: {<<: *a, y: 2}
empty: {map: {}, list: [], "null": null}
html: "<a href='x'>&</a>"
template: '{{ .Values.x | default "y" }}'
`

func TestUsersValuesAreKept(t *testing.T) {
	for _, text := range []string{tricky, "a: 1\na: 2\n", "a: 1\n---\nb: 2\n", "{}"} {
		keptAsHelmReadsThem(t, text)
	}
}

func keptAsHelmReadsThem(t *testing.T, text string) {
	t.Helper()
	want := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	got := packedValues(t, text, Options{Project: "p"})
	for _, key := range []string{"werf", "global"} {
		delete(want, key)
		delete(got, key)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

func FuzzUsersValuesAreKept(f *testing.F) {
	f.Add(tricky)
	f.Add("a: !!binary aGVsbG8=\n? [b]\n: c")
	f.Fuzz(func(t *testing.T, text string) {
		var v map[string]any
		if yaml.Unmarshal([]byte(text), &v) != nil || text == "" {
			return
		}
		s, err := Load(t.Context(), tree(map[string]string{"values.yaml": text}), ".helm", LoadOptions{})
		if err != nil {
			t.Fatalf("Helm takes these values: %v", err)
		}
		if _, err := s.Package(Options{Project: "p"}); err != nil {
			return // werf or global is no map
		}
		keptAsHelmReadsThem(t, text)
	})
}
