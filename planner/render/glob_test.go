package render

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMatch(t *testing.T) {
	tests := []struct{ pattern, matches, not string }{
		{"a", "a", "ab a/b b"},
		{"/a", "a", "b"},
		{"./a//b", "a/b", "a"},
		{"*", "a .b a.yaml", "a/b"},
		{"*.yaml", "a.yaml .yaml", "a.yml d/a.yaml a.yaml.bak ayaml"},
		{".werf/*.yaml", ".werf/a.yaml", ".werf/d/a.yaml xwerf/a.yaml"},
		{".werf/**/*.tmpl", ".werf/a.tmpl .werf/b/a.tmpl .werf/b/c/a.tmpl", "a.tmpl .werf/a.yaml x.werf/a.tmpl"},
		{"**", "a a/b .a/b/c", ""},
		{"**/a", "a b/a b/c/a", "ba b/ca a/b"},
		{"a/**", "a/b a/b/c", "a b ab"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "a/xb ab a/b/x"},
		{"a**", "a ab", "a/b"},
		{"?.?", "a.b ж.я", "ab a/b a.bc"},
		{"a?b", "axb", "a/b ab"},
		{"[a-c]x", "ax cx", "dx x"},
		{"[!a-c]x", "dx", "ax /x"},
		{"[^a]", "b", "a"},
		{"[a^]", "a ^", "b"},
		{"[.]x", ".x", "ax"},
		{"{a,b}.{yml,yaml}", "a.yml b.yaml", "c.yml a,b.yml"},
		{"m/{x,{y,z}/*}", "m/x m/y/1 m/z/2", "m/y"},
		{"a,b}", "a,b}", "a"},
		{`\*`, "*", "a"},
		{`a\{b`, "a{b", "ab"},
		{"a.b+(c)|$", "a.b+(c)|$", "axb+(c)|$"},
		{"дом/*", "дом/а", "кот/а"},
	}
	for _, test := range tests {
		check := func(name string, want bool) {
			if got, err := Match(test.pattern, name); got != want || err != nil {
				t.Errorf("Match(%q, %q) = %v, %v", test.pattern, name, got, err)
			}
		}
		for name := range strings.FieldsSeq(test.matches) {
			check(name, true)
		}
		for name := range strings.FieldsSeq(test.not) {
			check(name, false)
		}
	}
	for _, pattern := range []string{"[a", "[]", "[!]", "[", "{a", "a{b,{c}", `a\`, "[b-a]"} {
		if _, err := Match(pattern, "a"); err == nil {
			t.Errorf("the pattern %q is accepted", pattern)
		}
	}
}

// The walk starts as low as the pattern lets it, and a name that is all meta
// characters is still a name.
func TestGlobBase(t *testing.T) {
	for pattern, want := range map[string]string{
		"": ".", "a": "a", "a/b": "a/b", "*": ".", "a/*": "a", "a/b*": "a", "a/b/**/c": "a/b", "{a,b}/c": ".", `a/\*`: "a",
	} {
		if _, base, err := compileGlob(pattern); base != want || err != nil {
			t.Errorf("%q is walked from %q (%v), want %q", pattern, base, err, want)
		}
	}
	for _, name := range []string{"a[1]", "{a,b}", "*?", `a\b`, "plain/имя"} {
		if ok, err := Match(escapeGlob(name), name); !ok || err != nil {
			t.Errorf("%q does not match itself: %v", escapeGlob(name), err)
		}
	}
}

// forbidden is a file system in which some directories cannot be listed.
type forbidden struct {
	fstest.MapFS
	dir string
}

func (f forbidden) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == f.dir {
		return nil, fmt.Errorf("%s was listed", name)
	}
	return f.MapFS.ReadDir(name)
}

// A glob lists no directory that is deeper than it can match: that may be a
// submodule which is not there.
func TestGlobLooksNoDeeper(t *testing.T) {
	files := fstest.MapFS{"a": {}, "sub/b": {}, "sub/c/d": {}}
	for pattern, dir := range map[string]string{"*": "sub", "[a-z]": "sub", "sub/*": "sub/c", "*/b": "sub/c", "{a,sub/b}": "sub/c"} {
		r, err := Render(t.Context(), "werf.yaml", []byte("{{ range $n, $_ := .Files.Glob \""+pattern+"\" }}{{ $n }} {{ end }}"), Project{Files: forbidden{files, dir}})
		if err != nil || len(r.Text) < 2 {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if _, err := Render(t.Context(), "werf.yaml", []byte("{{ .Files.Glob \"**/b\" }}"), Project{Files: forbidden{files, "sub/c"}}); err == nil {
		t.Error("a glob that may match there does not look")
	}
}
