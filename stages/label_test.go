package stages

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestAddLabels(t *testing.T) {
	labels := map[string]string{"a": "<new> & \"quoted\"", "b": ""}
	const added = `"a":"<new> & \"quoted\"","b":""`
	tests := map[string]struct{ config, want string }{
		"none before":         {`{"config":{"Env":["A=b"]}}`, `{"config":{"Env":["A=b"],"Labels":{` + added + `}}}`},
		"others stay":         {`{"config":{"Labels":{"a":"old","z":"1"}}}`, `{"config":{"Labels":{` + added + `,"z":"1"}}}`},
		"Labels null":         {`{"config":{"Labels":null}}`, `{"config":{"Labels":{` + added + `}}}`},
		"no config section":   {`{"os":"linux"}`, `{"os":"linux","config":{"Labels":{` + added + `}}}`},
		"config section null": {`{"config":null}`, `{"config":{"Labels":{` + added + `}}}`},
		"unknown fields": {
			`{"x":{"deep":[1,null]},"n":12345678901234567890,"config":{"Healthcheck":{"Interval":12345678901234567},"y":[]}}`,
			`{"x":{"deep":[1,null]},"n":12345678901234567890,"config":{"Healthcheck":{"Interval":12345678901234567},"y":[],"Labels":{` + added + `}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := addLabels([]byte(test.config), labels)
			check(t, err)
			if g, w := decode(t, got), decode(t, []byte(test.want)); !reflect.DeepEqual(g, w) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	for _, wrong := range []string{"", "null", "[]", `{"config":[]}`, `{"config":{"Labels":{"a":1}}}`, `{"config":{"Labels":"a"}}`} {
		if got, err := addLabels([]byte(wrong), labels); err == nil {
			t.Errorf("%q gives %s and no error", wrong, got)
		}
	}
}

// decode keeps numbers as they are written.
func decode(t *testing.T, raw []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	check(t, d.Decode(&v))
	return v
}

func TestLabel(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo := w.repo(t, "app")
		image := keyedImage(t, repo, "app")
		stage := NewLabel(repo, key("app"), map[string]string{"a": "1", "b": "2"})
		made, err := stage.Run(t.Context(), []engine.Result{image})
		check(t, err)
		labelled := made.(Image)
		if labelled.Tag != stage.Key.String() || names(t, repo, labelled.Tag) != labelled.Desc.Digest.String() {
			t.Errorf("%s is not under its key tag", labelled.Ref())
		}
		if got := names(t, repo, image.Tag); got != image.Desc.Digest.String() {
			t.Errorf("the image's own key tag names %s", got)
		}
		before, _, _, err := oci.ReadImage(t.Context(), repo, image.Desc)
		check(t, err)
		after, config, _, err := oci.ReadImage(t.Context(), repo, labelled.Desc)
		check(t, err)
		var got ocispec.Image
		check(t, json.Unmarshal(config, &got))
		if want := map[string]string{"a": "1", "b": "2"}; !reflect.DeepEqual(got.Config.Labels, want) || got.Author != "app" {
			t.Errorf("the config is %s", config)
		}
		after.Config.Digest, after.Config.Size = before.Config.Digest, before.Config.Size
		if !reflect.DeepEqual(after, before) {
			t.Errorf("more than the config has changed:\n%+v\n%+v", before, after)
		}
		// The same labels in another order are found, not made.
		if found, ok, err := NewLabel(repo, key("app"), map[string]string{"b": "2", "a": "1"}).Find(t.Context()); err != nil || !ok || found.(Image).Desc.Digest != labelled.Desc.Digest {
			t.Errorf("found %v, %v, %v", found, ok, err)
		}
		done := w.unwritten(t)
		again, err := stage.Run(t.Context(), []engine.Result{image})
		check(t, err)
		if got := again.(Image).Desc.Digest; got != labelled.Desc.Digest {
			t.Errorf("made again it is %s, was %s", got, labelled.Desc.Digest)
		}
		done()
	})
}

func TestLabelKeys(t *testing.T) {
	base := map[string]string{"a": "1", "b": "2"}
	of := func(image string, labels map[string]string) string {
		return NewLabel(nil, key(image), labels).Key.String()
	}
	for range 50 { // a map is walked in another order each time
		if of("app", base) != of("app", maps.Clone(base)) {
			t.Fatal("the key depends on the order of labels")
		}
	}
	seen := map[string]string{of("app", base): "base", key("app").String(): "image"}
	for name, k := range map[string]string{
		"other image": of("other", base),
		"other value": of("app", map[string]string{"a": "1", "b": "3"}),
		"other name":  of("app", map[string]string{"a": "1", "c": "2"}),
		"one fewer":   of("app", map[string]string{"a": "1"}),
		"in one":      of("app", map[string]string{"a": "1\nb=2"}),
	} {
		if other, taken := seen[k]; taken {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[k] = name
	}
}
