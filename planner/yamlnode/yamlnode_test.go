package yamlnode

import "testing"

func TestDecode(t *testing.T) {
	for text, want := range map[string]struct {
		documents int
		fails     bool
	}{
		"":                  {0, false},
		"# nothing\n---\n":  {1, false}, // a document without a value is a null
		"a: 1\n---\nb: 2\n": {2, false},
		"a: 1\n---\nb: [\n": {1, true},
		"a: *nowhere\n":     {0, true},
	} {
		documents, err := Decode([]byte(text))
		if len(documents) != want.documents || (err != nil) != want.fails {
			t.Errorf("%q gives %d documents, %v", text, len(documents), err)
		}
	}
}

func TestScalars(t *testing.T) {
	for text, want := range map[string]struct {
		describe        string
		null, value, ok bool
	}{
		"~":       {"no value", true, false, false},
		"yes":     {`the text "yes"`, false, true, true},
		"Off":     {`the text "Off"`, false, false, true},
		"true":    {"the boolean true", false, true, true},
		`"true"`:  {`the text "true"`, false, false, false},
		"1.5":     {"the number 1.5", false, false, false},
		"[a]":     {"a list", false, false, false},
		"{a: b}":  {"a mapping", false, false, false},
		"!own x":  {`a value with the tag "!own"`, false, false, false},
		"&a text": {`the text "text"`, false, false, false},
	} {
		documents, err := Decode([]byte(text))
		if err != nil || len(documents) != 1 {
			t.Fatalf("%q: %v", text, err)
		}
		n := Resolve(documents[0].Content[0])
		value, ok := Boolean(n)
		if Describe(n) != want.describe || IsNull(n) != want.null || value != want.value || ok != want.ok {
			t.Errorf("%q is %s, null %v, boolean %v %v", text, Describe(n), IsNull(n), value, ok)
		}
	}
}

func TestResolve(t *testing.T) {
	documents, err := Decode([]byte("a: &x one\nb: *x\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := Resolve(documents[0].Content[0].Content[3]); n.Value != "one" {
		t.Errorf("the alias stands for %q", n.Value)
	}
}

func TestInvalidUTF8(t *testing.T) {
	for text, want := range map[string]int{"": -1, "ключ": -1, "\uFFFD": -1, "a\xff": 1, "я\xd1": 2} {
		if got := InvalidUTF8([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
