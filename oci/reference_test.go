package oci

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const someDigest = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

func TestParseReference(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Reference
		text string // of String, if not the same as in
	}{
		{in: "example.org/foo", want: Reference{Registry: "example.org", Repository: "foo"}},
		{in: "example.org:5000/foo/bar:v1", want: Reference{Registry: "example.org:5000", Repository: "foo/bar", Tag: "v1"}},
		{in: "localhost/foo:v1", want: Reference{Registry: "localhost", Repository: "foo", Tag: "v1"}},
		{in: "[::1]:5000/foo:v1", want: Reference{Registry: "[::1]:5000", Repository: "foo", Tag: "v1"}},
		{in: "example.org/foo@" + someDigest.String(), want: Reference{Registry: "example.org", Repository: "foo", Digest: someDigest}},
		{in: "example.org/foo:v1@" + someDigest.String(), want: Reference{Registry: "example.org", Repository: "foo", Tag: "v1", Digest: someDigest}},
		{in: "index.docker.io/me/foo:v1", want: Reference{Registry: "docker.io", Repository: "me/foo", Tag: "v1"}, text: "docker.io/me/foo:v1"},
		{in: "docker.io/node", want: Reference{Registry: "docker.io", Repository: "library/node"}, text: "docker.io/library/node"},
		{in: "oci:dir", want: Reference{Dir: "dir"}},
		{in: "oci:/abs/dir:v1", want: Reference{Dir: "/abs/dir", Tag: "v1"}},
		{in: "oci:../a:b/dir", want: Reference{Dir: "../a:b/dir"}},
		{in: "oci:../a:b/dir:v1", want: Reference{Dir: "../a:b/dir", Tag: "v1"}},
		{in: `oci:C:\dir`, want: Reference{Dir: `C:\dir`}},
		{in: "oci:dir:v1@" + someDigest.String(), want: Reference{Dir: "dir", Tag: "v1", Digest: someDigest}},
		{in: "oci:me@home", want: Reference{Dir: "me@home"}},
	} {
		t.Run(test.in, func(t *testing.T) {
			got, err := ParseReference(test.in)
			check(t, err)
			if got != test.want {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
			text := test.text
			if text == "" {
				text = test.in
			}
			if got.String() != text {
				t.Errorf("String is %q, want %q", got, text)
			}
		})
	}
}

func TestParseReferenceErrors(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "registry must be explicit"},
		{"foo", "registry must be explicit"},
		{"foo/bar", "docker.io/foo/bar"},
		{"https://example.org/foo", "without a scheme"},
		{"example.org/", "must be HOST[:PORT]/REPO"},
		{"example.org/Foo", "lower case"},
		{"example.org/foo:", "must be HOST[:PORT]/REPO"},
		{"example.org/foo:a b", "must be HOST[:PORT]/REPO"},
		{"example.org/foo@sha256:abc", "invalid"},
		{"example.org/" + strings.Repeat("a", 300), "255"},
		{"oci:", "directory is missing"},
		{"oci::v1", "directory is missing"},
		{"oci:dir:", "nothing after the last colon"},
		{"oci:dir:-v1", "invalid tag"},
	} {
		t.Run(test.in, func(t *testing.T) {
			_, err := ParseReference(test.in)
			wantError(t, err, test.want, "invalid reference")
		})
	}
}

func TestReferenceParts(t *testing.T) {
	ref, err := ParseReference("example.org/foo:v1@" + someDigest.String())
	check(t, err)
	for _, test := range []struct{ got, want string }{
		{ref.Name(), "example.org/foo"},
		{ref.WithTag("v2").String(), "example.org/foo:v2"},
		{ref.WithTag("v2").WithDigest(someDigest).String(), "example.org/foo:v2@" + someDigest.String()},
		{Reference{Dir: "d", Tag: "x"}.Name(), "oci:d"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

// Whatever parses has a text that parses to the same.
func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{
		"example.org:5000/foo/bar:v1@" + someDigest.String(), "docker.io/node", "[::1]:5000/a", "localhost/x:1",
		"oci:dir", "oci:../a:b/dir:v1", "oci:x:y/.", `oci:C:\d:t`, "oci:a@" + someDigest.String(), "oci:@", "/", ":", "a.b//c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q is %#v, its text %q is %#v, %v", s, ref, ref, again, err)
		}
		if ref.IsLayout() == (ref.Registry != "") {
			t.Errorf("%q is %#v: neither or both of layout and registry", s, ref)
		}
	})
}
