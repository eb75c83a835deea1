package lock

import (
	"reflect"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
)

var one, two = digest.FromString("one"), digest.FromString("two")

func TestRoundTrip(t *testing.T) {
	f := &File{Bases: map[string]Base{
		"docker.io/library/node:22":     {Digest: one},
		"docker.io/library/alpine:3":    {Digest: two, OnBuild: []string{"COPY . /app", "RUN make"}},
		"registry.example.org:5000/a/b": {Digest: one},
	}}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := "# What the base images of this project stand for. Written by `slipway lock`.\nversion: 1\nbases:\n" +
		"  docker.io/library/alpine:3:\n    digest: " + two.String() + "\n    onbuild:\n      - COPY . /app\n      - RUN make\n" +
		"  docker.io/library/node:22:\n    digest: " + one.String() + "\n" +
		"  registry.example.org:5000/a/b:\n    digest: " + one.String() + "\n"
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	again, err := Parse(FileName, text)
	if err != nil || !reflect.DeepEqual(f, again) {
		t.Errorf("read back as %+v (%v)", again, err)
	}
}

func TestWrongFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not yaml":       {"a: [", "werf.lock: "},
		"empty":          {"", "EOF"},
		"no version":     {"bases: {}\n", "version 0"},
		"later version":  {"version: 2\n", "version 2"},
		"unknown key":    {"version: 1\nbasis: {}\n", "basis"},
		"not a digest":   {"version: 1\nbases: {a: {digest: latest}}\n", `a: "latest" is not a digest`},
		"unknown in one": {"version: 1\nbases: {a: {digest: " + one.String() + ", tag: x}}\n", "tag"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(FileName, []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "slipway lock") {
				t.Errorf("got %v, want %q and the way out", err, c.want)
			}
		})
	}
}
