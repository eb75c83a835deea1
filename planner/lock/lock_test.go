package lock

import (
	_ "crypto/sha512" // as the program has it
	"reflect"
	"strings"
	"testing"

	"slipway/planner/diag"

	digest "github.com/opencontainers/go-digest"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

var one, two = digest.FromString("one"), digest.FromString("two")

func TestRoundTrip(t *testing.T) {
	f := &File{Bases: map[string]Base{
		"docker.io/library/node:22":     {Digest: one},
		"docker.io/library/alpine:3":    {Digest: two, OnBuild: []string{"COPY . /app", "RUN make"}},
		"registry.example.org:5000/a/b": {Digest: one},
	}, Remotes: map[string]Remote{
		"https://example.org/tool?v=1":      {Digest: two},
		"git@example.org:a/b.git#v1":        {Commit: commit},
		"https://example.org/a/b.git#a: {}": {Commit: commit + commit[:24]},
	}}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := "# What the base images and remote files of this project stand for. Written by `slipway lock`.\nversion: 1\nbases:\n" +
		"  docker.io/library/alpine:3:\n    digest: " + two.String() + "\n    onbuild:\n      - COPY . /app\n      - RUN make\n" +
		"  docker.io/library/node:22:\n    digest: " + one.String() + "\n" +
		"  registry.example.org:5000/a/b:\n    digest: " + one.String() + "\n" +
		"remotes:\n" +
		"  git@example.org:a/b.git#v1:\n    commit: " + commit + "\n" +
		"  'https://example.org/a/b.git#a: {}':\n    commit: " + commit + commit[:24] + "\n" +
		"  https://example.org/tool?v=1:\n    digest: " + two.String() + "\n"
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	again, err := Parse(FileName, text)
	if err != nil || !reflect.DeepEqual(f, again) {
		t.Errorf("read back as %+v (%v)", again, err)
	}
}

// A file of the time before remotes reads as one that has none, and is written
// back as it was.
func TestNoRemotes(t *testing.T) {
	f, err := Parse(FileName, []byte("version: 1\nbases:\n  a:\n    digest: "+one.String()+"\n"))
	if err != nil || len(f.Remotes) != 0 || f.Bases["a"].Digest != one {
		t.Fatalf("%+v, %v", f, err)
	}
	text, err := f.Marshal()
	if err != nil || strings.Contains(string(text), "remotes:") {
		t.Errorf("%s (%v)", text, err)
	}
}

// Each mistake is told where it is, with the line that holds it.
func TestWrongFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not yaml":        {"version: 1\nbases: [\n", "werf.lock:2: this is not YAML"},
		"a tab":           {"version: 1\n\tbases: {}\n", "werf.lock:2: this is not YAML"},
		"not UTF-8":       {"version: 1\n# \xff\n", "werf.lock:2:3: this is not UTF-8 text"},
		"empty":           {"", "werf.lock: the file is empty"},
		"no mapping":      {"[]\n", "werf.lock:1:1: the file must be a mapping of keys to values, found a list"},
		"two documents":   {"version: 1\n---\nversion: 1\n", "werf.lock:2:1: a second YAML document"},
		"no version":      {"bases: {}\n", "werf.lock:1:1: version is missing"},
		"later version":   {"else: 1\nversion: 2\n", "werf.lock:2:10: version 2 of the format is not known, only 1 is\n  2 | version: 2\n"},
		"version is text": {"version: '1'\n", `werf.lock:1:10: version must be 1, found the text "1"`},
		"unknown key":     {"version: 1\nbasis: {}\n", "werf.lock:2:1: unknown key \"basis\": the keys of the file are version, bases, remotes\n  2 | basis: {}\n    | ^\n"},
		"twice":           {"version: 1\nbases:\n  a: {digest: " + one.String() + "}\n  a: {}\n", `werf.lock:4:3: key "a" is given twice, first on line 3`},
		"no section":      {"version: 1\nbases: []\n", "werf.lock:2:8: bases must be a mapping of keys to values, found a list"},
		"not a digest":    {"version: 1\nbases:\n  a:\n    digest: latest\n", "werf.lock:4:13: \"latest\" is not a digest\n  4 |     digest: latest\n    |             ^\n"},
		"no digest":       {"version: 1\nbases:\n  a: {}\n", `werf.lock:3:3: "a" has no digest`},
		"no entry":        {"version: 1\nbases:\n  a: x\n", `werf.lock:3:6: a must be a mapping of keys to values, found the text "x"`},
		"a number":        {"version: 1\nbases:\n  a:\n    digest: 5\n", "werf.lock:4:13: digest must be text, found the number 5"},
		"a key's name":    {"version: 1\nbases:\n  1: {}\n", "werf.lock:3:3: a key must be text, found the number 1"},
		"unknown in one":  {"version: 1\nbases:\n  a: {digest: " + one.String() + ", tag: x}\n", `unknown key "tag": the keys of a are digest, onbuild`},
		"a trigger":       {"version: 1\nbases:\n  a: {digest: " + one.String() + ", onbuild: RUN x}\n", `onbuild must be a list, found the text "RUN x"`},
		"neither":         {"version: 1\nremotes:\n  u: {}\n", `werf.lock:3:3: "u" must have a digest, if it is a file, or a commit`},
		"both":            {"version: 1\nremotes:\n  u: {digest: " + one.String() + ", commit: " + commit + "}\n", `werf.lock:3:3: "u" must have a digest, if it is a file, or a commit`},
		"short commit":    {"version: 1\nremotes:\n  u: {commit: abcdef1}\n", `werf.lock:3:15: "abcdef1" is not the full id of a commit`},
		"another hash":    {"version: 1\nremotes:\n  u: {digest: " + digest.SHA512.FromString("x").String() + "}\n", "werf.lock:3:15: the digest of a file must be a sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(FileName, []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "slipway lock") {
				t.Errorf("got %v, want %q and the way out", err, c.want)
			}
		})
	}
	_, err := Parse(FileName, []byte("version: 1\nbases: {a: {digest: x}}\nremotes: {b: {commit: y}}\n"))
	if err == nil || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("got %v, want both mistakes", err)
	}
}

// FuzzParse looks for texts that crash, and for files that are read and not
// written as they were read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "version: 1\n", "version: 2\n", "version: 1\nbases: {}\nremotes: {}\n", "\uFEFFversion: 1\n",
		"version: 1\nbases:\n  docker.io/library/node:22:\n    digest: " + one.String() + "\n    onbuild:\n      - COPY . /app\n      - \"a\\n\\0b\"\n",
		"version: 1\nremotes:\n  https://example.org/a.git#v1:\n    commit: " + commit + "\n  ? |\n    https://example.org/f\n  : {digest: " + two.String() + "}\n",
		"version: 1\nbases: &b\n  a: &a {digest: " + one.String() + "}\n  b: *a\nremotes: *b\n",
		"version: 1\nbases:\n  <<: {a: {digest: " + one.String() + "}}\n", "version: 1\nbases: &x {a: *x}\n",
		"version: 1\n---\nversion: 1\n", "- [", "a: b: c", "version: 1\nbases:\n  '<<': {digest: " + one.String() + "}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse(FileName, []byte(text))
		if err != nil {
			if !diag.Is(err) || !strings.Contains(err.Error(), advice) {
				t.Fatalf("no diagnostic: %v", err)
			}
			return
		}
		out, err := file.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(FileName, out)
		if err != nil || !reflect.DeepEqual(file, again) {
			t.Fatalf("%+v was written as\n%s\nand read as %+v (%v)", file, out, again, err)
		}
	})
}
