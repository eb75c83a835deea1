package diag

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestDiagnosticError(t *testing.T) {
	const text = "project: x\n\tkey:\tvalue\nимя: значение\n名前: v\r\ne\u0301: v\n\n\x1b[31mred: x\n" +
		"bad \xff byte: x\n\u202ereversed: x"
	source := NewSource("werf.yaml", []byte(text))
	long := NewSource("f", []byte(strings.Repeat("a", 300)+"B"+strings.Repeat("c", 300)))
	tests := []struct {
		name string
		d    *Diagnostic
		want string
	}{
		{"message only", &Diagnostic{Message: "no file"}, "no file"},
		{"zero position", Pos{}.Errorf("no %s", "file").Advise("make one"), "no file\n  make one"},
		{"file only", source.Pos(0, 0).Errorf("empty"), "werf.yaml: empty"},
		{"line only", source.Pos(1, 0).Errorf("odd"), "werf.yaml:1: odd\n  1 | project: x"},
		{"column", source.Pos(1, 10).Errorf("odd").Advise("write %q", "y"),
			"werf.yaml:1:10: odd\n  1 | project: x\n    |          ^\n  write \"y\""},
		{"advice of several lines", source.Pos(0, 0).Errorf("empty").Advise("write:\n\n  project: x"),
			"werf.yaml: empty\n  write:\n\n    project: x"},
		{"tabs stay tabs", source.Pos(2, 7).Errorf("odd"),
			"werf.yaml:2:7: odd\n  2 | \tkey:\tvalue\n    | \t    \t^"},
		{"columns are characters", source.Pos(3, 6).Errorf("odd"),
			"werf.yaml:3:6: odd\n  3 | имя: значение\n    |      ^"},
		{"wide characters take two cells", source.Pos(4, 5).Errorf("odd"),
			"werf.yaml:4:5: odd\n  4 | 名前: v\n    |       ^"},
		{"combining marks take none", source.Pos(5, 5).Errorf("odd"),
			"werf.yaml:5:5: odd\n  5 | e\u0301: v\n    |    ^"},
		{"an empty line is not shown", source.Pos(6, 1).Errorf("odd"), "werf.yaml:6:1: odd"},
		{"terminal escapes are defused", source.Pos(7, 1).Errorf("odd"),
			"werf.yaml:7:1: odd\n  7 | \uFFFD[31mred: x\n    | ^"},
		{"bytes that are not UTF-8", source.Pos(8, 5).Errorf("odd"),
			"werf.yaml:8:5: odd\n  8 | bad \uFFFD byte: x\n    |     ^"},
		{"reversed text is defused", source.Pos(9, 1).Errorf("odd"),
			"werf.yaml:9:1: odd\n  9 | \uFFFDreversed: x\n    | ^"},
		{"past the end of the line", source.Pos(1, 12).Errorf("odd"),
			"werf.yaml:1:12: odd\n  1 | project: x\n    |            ^"},
		{"past the end of the file", source.Pos(99, 1).Errorf("odd"), "werf.yaml:99:1: odd"},
		{"gutter of two digits", &Diagnostic{File: "f", Line: 10, Column: 2, Source: "ab", Message: "odd"},
			"f:10:2: odd\n  10 | ab\n     |  ^"},
		{"middle of a long line", long.Pos(1, 301).Errorf("odd"),
			"f:1:301: odd\n  1 | …" + strings.Repeat("a", 60) + "B" + strings.Repeat("c", 59) + "…\n" +
				"    | " + strings.Repeat(" ", 61) + "^"},
		{"start of a long line", long.Pos(1, 1).Errorf("odd"),
			"f:1:1: odd\n  1 | " + strings.Repeat("a", 120) + "…\n    | ^"},
		{"end of a long line", long.Pos(1, 601).Errorf("odd"),
			"f:1:601: odd\n  1 | …" + strings.Repeat("c", 120) + "\n    | " + strings.Repeat(" ", 120) + "^"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.d.Error(); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestOffset(t *testing.T) {
	text := []byte("имя: x\r\n\n\tb")
	source := NewSource("f", text)
	tests := []struct{ offset, line, column int }{
		{0, 1, 1},
		{6, 1, 4}, // the colon, after three letters of two bytes
		{11, 2, 1},
		{12, 3, 1},
		{13, 3, 2},
		{99, 3, 3},
		{-1, 1, 1},
	}
	for _, test := range tests {
		pos := source.Offset(text, test.offset)
		if pos.Line != test.line || pos.Column != test.column {
			t.Errorf("offset %d: got %d:%d, want %d:%d", test.offset, pos.Line, pos.Column, test.line, test.column)
		}
	}
	if got, want := source.Offset(text, 13).Errorf("x").Source, "\tb"; got != want {
		t.Errorf("source line %q, want %q", got, want)
	}
}

func TestList(t *testing.T) {
	var list List
	if err := list.Err(); err != nil {
		t.Fatalf("empty list is the error %v", err)
	}
	at := func(file string, line, column int, message string) *Diagnostic {
		return &Diagnostic{File: file, Line: line, Column: column, Message: message}
	}
	list.Add(at("b", 1, 1, "sixth"), at("a", 10, 1, "fifth"), nil, at("a", 2, 3, "fourth"))
	list.Add(at("a", 2, 1, "third"), at("a", 2, 1, "second"), at("a", 0, 0, "first"), at("a", 2, 1, "third"))
	err := list.Err()
	want := "a: first\na:2:1: second\na:2:1: third\na:2:3: fourth\na:10:1: fifth\nb:1:1: sixth"
	if err.Error() != want {
		t.Errorf("got:\n%s\nwant:\n%s", err, want)
	}
	if list[0].Message != "sixth" {
		t.Error("Err changed the order of the list it was called on")
	}
	var unwrapped interface{ Unwrap() []error }
	if !errors.As(err, &unwrapped) || len(unwrapped.Unwrap()) != 6 {
		t.Error("the error does not unwrap to its six diagnostics")
	}
}

func TestIs(t *testing.T) {
	d := &Diagnostic{Message: "wrong"}
	for _, err := range []error{
		d, List{d}.Err(), fmt.Errorf("reading werf.yaml: %w", d),
		fmt.Errorf("planning: %w", List{d}), errors.Join(fs.ErrClosed, d),
	} {
		if !Is(err) {
			t.Errorf("%v is not seen as the user's mistake", err)
		}
	}
	for _, err := range []error{nil, fs.ErrNotExist, List{}} {
		if Is(err) {
			t.Errorf("%v is seen as the user's mistake", err)
		}
	}
}

func TestSuggest(t *testing.T) {
	keys := []string{"image", "dockerfile", "context", "contextAddFile", "contextAddFiles", "target", "args", "final"}
	tests := []struct{ word, want string }{
		{"dockerfle", "dockerfile"},
		{"Dockerfile", "dockerfile"},
		{"docker_file", "dockerfile"},
		{"images", "image"},
		{"Image", "image"},
		{"arg", "args"},
		{"taregt", "target"},
		{"contextAddFies", "contextAddFiles"},
		{"contextAddFileX", "contextAddFile"}, // as near as contextAddFiles, and first
		{"contextAddfiles", "contextAddFiles"},
		{"build", ""},
		{"", ""},
		{"x", ""},
		{"git", ""},
		{strings.Repeat("dockerfile", 1000), ""},
	}
	for _, test := range tests {
		if got := Suggest(test.word, keys); got != test.want {
			t.Errorf("Suggest(%.20q) = %q, want %q", test.word, got, test.want)
		}
	}
	if got, want := DidYouMean("arg", keys), `did you mean "args"?`; got != want {
		t.Errorf("DidYouMean = %q, want %q", got, want)
	}
	if got := DidYouMean("nothing", nil); got != "" {
		t.Errorf("DidYouMean with no candidates = %q", got)
	}
}
