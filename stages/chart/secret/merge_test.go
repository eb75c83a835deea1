package secret

import (
	"regexp"
	"strings"
	"testing"
)

// encrypted stands for an encrypted text of one letter: whatever it is, merging
// does not ask.
func encrypted(letter string) string { return "1000" + strings.Repeat(letter, 64) }

var letters = regexp.MustCompile(`\b[a-f]\b`)

func TestMergeEncrypted(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"none":          {nil, ""},
		"empty files":   {[]string{"", "# nothing\n", "null\n"}, ""},
		"one":           {[]string{"z: a\nw: {x: b}\n"}, "w:\n  x: b\nz: a\n"},
		"later wins":    {[]string{"x: a\nw: {k: a, l: b}\n", "x: c\nw: {l: d, m: e}\n", "w: {m: f}\n"}, "w:\n  k: a\n  l: d\n  m: f\nx: c\n"},
		"lists":         {[]string{"x: [a, b]\n", "x: [c]\n"}, "x:\n- c\n"},
		"null removes":  {[]string{"x: a\nz: {k: a, l: b}\n", "x:\nz: {k: null}\n"}, "z:\n  l: b\n"},
		"null stays":    {[]string{"x:\n"}, "x: null\n"},
		"other kinds":   {[]string{"x: a\nz: {k: a}\n", "x: {k: b}\nz: c\n"}, "x:\n  k: b\nz: c\n"},
		"aliases":       {[]string{"x: &x {k: a}\nz: {<<: *x, l: b}\nw: *x\n", "w: {m: c}\n"}, "w:\n  k: a\n  m: c\nx:\n  k: a\nz:\n  k: a\n  l: b\n"},
		"numeric keys":  {[]string{"1: a\n"}, "\"1\": a\n"},
		"empty strings": {[]string{"x: ''\n"}, "x: \"\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			expand := func(s string) string {
				return letters.ReplaceAllStringFunc(s, encrypted)
			}
			var files []File
			for _, text := range test.files {
				files = append(files, File{"f", []byte(expand(text))})
			}
			got, err := MergeEncrypted(files...)
			if err != nil || string(got) != expand(test.want) {
				t.Errorf("got:\n%s%v\nwant:\n%s", got, err, expand(test.want))
			}
		})
	}
}

// What werf 3 has encrypted passes as it is.
func TestMergeNewerFormat(t *testing.T) {
	text := "x: 0300" + strings.Repeat("a", 80) + "\n"
	if got, err := MergeEncrypted(File{"f", []byte(text)}); err != nil || string(got) != text {
		t.Errorf("%s %v", got, err)
	}
}

func TestMergeEncryptedErrors(t *testing.T) {
	bomb := "a: &a [" + encrypted("a") + "]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 20) + "]\n"
	}
	for text, want := range map[string]string{
		"x:\n  y: hunter2\n": "secret.yaml:2:6: x.y: the value is not encrypted, or damaged",
		"x: 42\n":            "secret.yaml:1:4: x: the value is not encrypted, or damaged",
		"x: [\n":             "secret.yaml:",
		"- x\n":              "secret.yaml:1:1: a file of values must be a mapping",
		"x:\nx:\n":           "secret.yaml:2:1: x: the key is here a second time, first in line 1",
		"? [x]\n: null\n":    "secret.yaml: the YAML cannot be read as values",
		bomb:                 "secret.yaml: the YAML cannot be read as values",
	} {
		got, err := MergeEncrypted(File{"ok", nil}, File{"secret.yaml", []byte(text)})
		if err == nil || got != nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40q gives %q and %v, want %s", text, got, err, want)
		}
	}
}
