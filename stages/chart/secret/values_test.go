package secret

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A file that werf has encrypted, from its own tests.
const werfValues = `added_via_secret_values_extra: 1000dc58aec55b8ce919d24fd1a9c5435f983d9a39f1fba0971d2452ae30d03788dffd4ff2d179b426e62badec66c12e2f7d
overridden_via_secret_values_extra: 1000b52f32b4f9a78fb8b53e2a4d4211408b0de9c9bc83a8cda7a6be77e288f307bf90d016b476960f3c99ab51be48b318fcb4f404a4559bec045631902ec5f49728
`

func TestDecryptWerfValues(t *testing.T) {
	plain, err := key(t, werfKey).DecryptValues([]byte(werfValues))
	want := "added_via_secret_values_extra: added_via_secret_values_extra\noverridden_via_secret_values_extra: overridden_via_secret_values_extra\n"
	if err != nil || string(plain) != want {
		t.Errorf("got %q, %v", plain, err)
	}
}

var encryptedText = regexp.MustCompile(`1000(?:[0-9a-f]{32}){2,}`)

// masked replaces encrypted texts by a letter.
func masked(text []byte) string { return encryptedText.ReplaceAllString(string(text), "E") }

func TestValuesRoundTrip(t *testing.T) {
	k := key(t, werfKey)
	for name, test := range map[string]struct{ plain, encrypted, back string }{
		"structure": {
			"# head\ndatabase:\n  user: app # line\n  # above\n  password: 'p''w'\nusers:\n  - name: a\n    tags: [x, \"y\"]\n  - {name: b}\n# foot\n",
			"# head\ndatabase:\n  user: E # line\n  # above\n  password: 'E'\nusers:\n  - name: E\n    tags: [E, \"E\"]\n  - {name: E}\n# foot\n",
			"",
		},
		"anchors": {
			"one: &one\n  a: x\ntwo:\n  <<: *one\n  b: z\nthree: &s text\nfour: *s\n",
			"one: &one\n  a: E\ntwo:\n  <<: *one\n  b: E\nthree: &s E\nfour: *s\n",
			"",
		},
		"nulls": {
			"a:\nb: ~\nc: null\nd: \"\"\ne: {}\nf: []\n",
			"a:\nb: ~\nc: null\nd: \"E\"\ne: {}\nf: []\n",
			"",
		},
		"what is no string becomes one, digit by digit": {
			"a: 0123456\nb: 1.50\nc: true\nd: 2022-07-15\ne: 123456789012345678901234567890\nf: yes\ng: !!int 7\nh: 0x1F\n",
			"a: E\nb: E\nc: E\nd: E\ne: E\nf: E\ng: E\nh: E\n",
			"a: \"0123456\"\nb: \"1.50\"\nc: \"true\"\nd: \"2022-07-15\"\ne: \"123456789012345678901234567890\"\nf: \"yes\"\ng: \"7\"\nh: \"0x1F\"\n",
		},
		"lines": {
			"a: |\n  one\n  two\nb: >-\n  folded\n  text\nc: \"x\\ny\"\n",
			"a: E\nb: E\nc: \"E\"\n",
			"a: |\n  one\n  two\nb: folded text\nc: |-\n  x\n  y\n",
		},
		"keys of other types": {"1: a\ntrue: b\n? [x]\n: c\n", "1: E\ntrue: E\n? [x]\n: E\n", ""},
		"nothing":             {"", "", ""},
		"comments only":       {"# nothing\n", "# nothing\n", ""},
		"null":                {"null\n", "null\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			encrypted, err := k.EncryptValues([]byte(test.plain))
			if err != nil || masked(encrypted) != test.encrypted {
				t.Fatalf("got:\n%s%v\nwant:\n%s", masked(encrypted), err, test.encrypted)
			}
			back, err := k.DecryptValues(encrypted)
			want := test.back
			if want == "" {
				want = test.plain
			}
			if err != nil || string(back) != want {
				t.Errorf("back:\n%s%v\nwant:\n%s", back, err, want)
			}
		})
	}
}

// What an edit does not touch keeps its encrypted text.
func TestUpdateValues(t *testing.T) {
	k := key(t, werfKey)
	before := "a: x\nsame: [x, x]\nlist:\n  - name: one\n  - name: two\nflag: \"1\"\n"
	old, err := k.EncryptValues([]byte(before))
	if err != nil {
		t.Fatal(err)
	}
	same, err := k.UpdateValues(old, []byte(before))
	if err != nil || string(same) != string(old) {
		t.Errorf("an unchanged file changes (%v):\n%s\n%s", err, old, same)
	}
	updated, err := k.UpdateValues(old, []byte("# new\nb: x\na: y\nsame: [x, x, x]\nlist:\n  - name: zero\n  - name: one\n  - name: two\nflag: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	var was, is map[string]any
	if err := errors.Join(yaml.Unmarshal(old, &was), yaml.Unmarshal(updated, &is)); err != nil {
		t.Fatal(err)
	}
	text := func(v map[string]any, key string, i int) any {
		list := v[key].([]any)
		if m, ok := list[i].(map[string]any); ok {
			return m["name"]
		}
		return list[i]
	}
	for name, same := range map[string]bool{
		"a":       was["a"] == is["a"],
		"b":       was["a"] == is["b"],
		"zero":    text(was, "list", 0) == text(is, "list", 0),
		"a third": text(is, "same", 2) == text(was, "same", 0) || text(is, "same", 2) == text(was, "same", 1),
	} {
		if same {
			t.Errorf("%s is new and has an old text", name)
		}
	}
	for name, same := range map[string]bool{
		"one": text(was, "list", 0) == text(is, "list", 1), "two": text(was, "list", 1) == text(is, "list", 2),
		"same": text(was, "same", 1) == text(is, "same", 1), "flag": was["flag"] == is["flag"],
	} {
		if !same {
			t.Errorf("%s is old and has a new text", name)
		}
	}
}

func TestEncryptValuesErrors(t *testing.T) {
	k := key(t, werfKey)
	for text, want := range map[string]string{
		"a: b\na: hunter2\n":               "2:1: a: the key is here a second time, first in line 1\n  remove one of them",
		"- hunter2\n":                      "1:1: a file of values must be a mapping",
		"hunter2\n":                        "1:1: a file of values must be a mapping",
		"a: b\n---\nc: hunter2\n":          "2:1: a second document begins here\n  a file of values has one",
		"a: *hunter2\n":                    "a value begins with * and so names an anchor, which the file does not have\n  put the value in quotes",
		"a: b\nc: [hunter2\n":              "no YAML: did not find expected ',' or ']'",
		"a: \"hunter2\\z\"\n":              "no YAML: found unknown escape character",
		"a:\n  b: !vault hunter2\n":        "2:6: a.b: the tag !vault would be lost\n  remove the tag; encrypt binary data as a secret file",
		"a: [!!binary aHVudGVyMg==]\n":     "1:5: a[0]: the tag !!binary would be lost\n  remove the tag; encrypt binary data as a secret file",
		"a: x\nb: {c: hunter2\nd: e\n":     "no YAML: did not find expected ',' or '}'",
		"a: " + strings.Repeat("[", 20000): "no YAML: exceeded max depth",
		"a: b\n" + werfValues: "2:32: added_via_secret_values_extra: the value is encrypted already, with this key\n  change encrypted files with secret values edit\n" +
			"3:37: overridden_via_secret_values_extra: the value is encrypted already, with this key\n  change encrypted files with secret values edit",
	} {
		got, err := k.EncryptValues([]byte(text))
		if err == nil || got != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "unter") {
			t.Errorf("%.60q gives %q and\n%v\nwant\n%s", text, got, err, want)
		}
	}
}

func TestDecryptValuesErrors(t *testing.T) {
	k := key(t, werfKey)
	lines := strings.SplitAfter(werfValues, "\n")
	damaged := strings.Replace(lines[1], "9728", "9729", 1)
	wrongForm := "the value is not encrypted, or damaged\n  encrypt it with secret encrypt, or write the file with secret values edit"
	for text, test := range map[string]struct {
		want  string
		cause error
	}{
		lines[0] + damaged: {"2:37: overridden_via_secret_values_extra: cannot be decrypted, though other values of the file can: it is damaged or of another key\n  enter the value anew", ErrUndecipherable},
		damaged:            {"the secret key is not the one of this file, or its only value is damaged", ErrUndecipherable},
		"x:\n  y: [hunter2]\n" + lines[0] + "z: 42\n": {"2:7: x.y[0]: " + wrongForm + "\n4:4: z: " + wrongForm, ErrNotEncrypted},
		"a: 0200" + strings.Repeat("a", 80) + "\n":    {"1:4: a: encrypted by werf 3, in a format that is not supported\n  decrypt the file with werf 3 and encrypt it anew", ErrNewerFormat},
		"1000" + strings.Repeat("00", 32) + "\n":      {"1:1: a file of values must be a mapping\n  this is an encrypted file: use secret file instead of secret values", nil},
		"a: [\n":                                      {"no YAML", nil},
	} {
		got, err := k.DecryptValues([]byte(text))
		if err == nil || got != nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60q gives %q and\n%v\nwant\n%s", text, got, err, test.want)
		}
		if test.cause != nil && !errors.Is(err, test.cause) {
			t.Errorf("%.60q: %v is not %v", text, err, test.cause)
		}
	}
	other := key(t, "00112233445566778899aabbccddeeff")
	_, err := other.DecryptValues([]byte(werfValues))
	if want := "the secret key is not the one of this file: none of its 2 values can be decrypted"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzValues(f *testing.F) {
	k := key(f, werfKey)
	for _, seed := range []string{
		werfValues, "a: b\n", "a: &x [1, 2]\nb: *x\n", "a: |\n\n  x\n", "a: \" \\n x\"\n", "a: \"\\0\\x85\"\n", "<<: {a: b}\n", "a: !!str 1\n", "a: \"\\n\"\n", "? a\n: b\n# c\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k.DecryptValues(text)
		encrypted, err := k.EncryptValues(text)
		if err != nil {
			return
		}
		back, err := k.DecryptValues(encrypted)
		if err != nil {
			t.Fatalf("%q is encrypted as\n%s\nand then: %v", text, encrypted, err)
		}
		sameLeaves(t, text, back)
		updated, err := k.UpdateValues(encrypted, back)
		if err != nil {
			t.Fatal(err)
		}
		sameLeaves(t, encrypted, updated)
	})
}

// sameLeaves compares values, not texts: where a comment stands that nothing
// follows is not settled by the YAML library's first printing.
func sameLeaves(t *testing.T, a, b []byte) {
	t.Helper()
	documentA, errA := parse(a)
	documentB, errB := parse(b)
	if errA != nil || errB != nil {
		t.Fatalf("%q became %q: %v, %v", a, b, errA, errB)
	}
	was, is := leaves(documentA), leaves(documentB)
	if len(was) != len(is) {
		t.Fatalf("%q became %q", a, b)
	}
	for i := range was {
		if was[i].path != is[i].path || was[i].Value != is[i].Value {
			t.Fatalf("%q: %q became %q: %q", was[i].path, was[i].Value, is[i].path, is[i].Value)
		}
	}
}
