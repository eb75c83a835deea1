package render

import (
	"fmt"
	"strings"
	"testing"

	"slipway/planner/diag"
)

// A template that would not end, or not fit, is an error in its own line.
func TestLimits(t *testing.T) {
	const (
		tooMuch  = "the template does not come to an end, or makes far too much"
		tooLarge = "the value is larger than 64 MiB"
		nested   = "nested more than 200 deep: does it contain itself?"
		list     = "would make too much: more than 1048576 elements or bytes"
		bytes    = "would make too much: more than 67108864 elements or bytes"
	)
	kilo := strings.Repeat("x", 1000)
	// A value that doubles at each turn.
	double := func(n int, value, step string) string {
		return fmt.Sprintf("{{ $a := %s }}{{ range until %d }}{{ $a = %s }}{{ end }}", value, n, step)
	}
	tests := []struct{ name, text, want string }{
		{"loop over a number", "\n{{ range 1000000000000 }}{{ end }}", tooMuch},
		{"loops in loops", "\n{{ range until 1000 }}{{ range until 1000 }}{{ range until 1000 }}{{ end }}{{ end }}{{ end }}", tooMuch},
		{"a loop that writes", "\n{{ range until 1000000 }}" + kilo + "{{ end }}", tooMuch},
		{"include in a loop", "\n{{ range until 1000000 }}{{ include \"k\" . }}{{ end }}{{ define \"k\" }}" + kilo + "{{ end }}", tooMuch},
		{"growing list", "\n" + double(1000000, "list", "append $a 1"), tooMuch},
		{"doubling text", "\n" + double(60, `"x"`, "print $a $a"), tooMuch},
		{"slow function", "\n{{ range until 1000 }}{{ derivePassword 1 \"long\" \"a\" \"b\" \"c\" }}{{ end }}", tooMuch},
		{"doubling list, printed", "\n" + double(60, `list "x"`, "list $a $a") + "{{ $a }}", tooLarge},
		{"doubling list, encoded", "\n" + double(60, `list "x"`, "list $a $a") + "{{ toYaml $a }}", "what toYaml is given is larger than 64 MiB"},
		{"deep list", "\n" + double(300, "list", "list $a") + "{{ $a }}", nested},
		{"map in itself, printed", "\n{{ $d := dict }}{{ $_ := set $d \"a\" $d }}{{ $d }}", nested},
		{"map in itself, encoded", "\n{{ $_ := set . \"a\" . }}{{ toJson . }}", nested},
		{"map in itself, copied", "\n{{ $d := dict }}{{ $_ := set $d \"a\" $d }}{{ deepCopy $d }}", nested},
		{"map in itself, merged", "\n{{ $d := dict }}{{ $_ := set $d \"a\" $d }}{{ merge (dict) $d }}", nested},
		{"map in itself, by printf", "\n{{ $d := dict }}{{ $_ := set $d \"a\" $d }}{{ printf \"%v\" $d }}", nested},

		{"include itself", "{{ define \"a\" }}\n{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}", "templates include each other more than 1000 deep"},
		{"template itself", "{{ define \"a\" }}\n{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}", "templates include each other more than 1000 deep"},
		{"tpl of itself", "{{ $_ := set . \"t\" `\n{{ tpl .t . }}` }}{{ tpl .t . }}", "templates include each other more than 1000 deep"},

		{"repeat", "\n{{ repeat 100000000 \"a\" }}", "repeat " + bytes},
		{"until", "\n{{ until 2000000 }}", "until " + list},
		{"until below", "\n{{ until -2000000 }}", "until " + list},
		{"untilStep", "\n{{ untilStep 0 10000000 2 }}", "untilStep " + list},
		{"untilStep that overflows", "\n{{ untilStep 9223372036854775806 9223372036854775807 5 }}", "untilStep " + list},
		{"seq of one", "\n{{ seq 2000000 }}", "seq " + list},
		{"seq of two", "\n{{ seq 5 -2000000 }}", "seq " + list},
		{"seq of three", "\n{{ seq 0 2 4000000 }}", "seq " + list},
		{"indent", "\n{{ indent 100000000 \"a\" }}", "indent " + bytes},
		{"nindent of many lines", "\n{{ repeat 10000 \"\\n\" | nindent 10000 }}", "nindent " + bytes},
		{"replace", "\n{{ $s := repeat 100000 \"a\" }}{{ replace \"a\" $s $s }}", "replace " + bytes},
		{"join", "\n{{ join (repeat 100000 \"a\") (until 1000) }}", "join " + bytes},
		{"wrapWith", "\n{{ $s := repeat 100000 \"a\" }}{{ wrapWith 1 $s $s }}", "wrapWith " + bytes},
		{"regexReplaceAll", "\n{{ $s := repeat 100000 \"a\" }}{{ regexReplaceAll \"a\" $s $s }}", "regexReplaceAll " + bytes},
		{"wide printf", "\n{{ printf \"" + strings.Repeat("%999999d", 100) + "\" 1 }}", "printf " + bytes},
		{"wide printf by argument", "\n{{ printf \"" + strings.Repeat("%*d", 100) + "\" 999999 1 }}", "printf " + bytes},
		{"printf of one thing many times", "\n{{ printf \"" + strings.Repeat("%[1]s", 1000) + "\" (repeat 100000 \"a\") }}", "printf " + bytes},
		{"printf of an address", "\n{{ printf \"%% %+p\" . }}", "printf: %p prints an address in memory, which is different each time"},

		{"negative repeat", "\n{{ repeat -1 \"a\" }}", "repeat cannot work on these arguments: strings: negative Repeat count"},
		{"chunks of nothing", "\n{{ chunk 0 (list 1) }}", "chunk cannot work on these arguments: makeslice: len out of range"},
		{"division by zero", "\n{{ div 1 0 }}", "div cannot work on these arguments: integer divide by zero"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// A tenth of the work that is let, so that the test is quick.
			out, err := render(t.Context(), "werf.yaml", []byte(test.text), Project{}, maxWork/10)
			if err == nil {
				t.Fatalf("rendered as %.100q", out.Text)
			}
			first, _, _ := strings.Cut(err.Error(), "\n")
			if !strings.Contains(first, ":2:") || !strings.HasSuffix(first, test.want) || !diag.Is(err) {
				t.Errorf("got:\n%.500v\nwant:\nFILE:2:COLUMN: ... %s", err, test.want)
			}
		})
	}
}

// What is far from the limits is not stopped by them.
func TestWithinLimits(t *testing.T) {
	tests := []struct {
		name, text string
		length     int
	}{
		{"a thousand images from a list",
			`{{ $d := dict "from" "alpine" "args" (dict "A" 1) }}{{ range $i := until 1060 }}{{ $v := mustMerge (dict "name" (printf "app-%04d" $i)) $d }}{{ include "image" (dict "root" $ "v" $v) }}{{ end }}` +
				`{{ define "image" }}image: {{ .v.name }}{{ .v | toYaml | nindent 2 }}{{ end }}`, 1060 * len("image: app-0000\n  args:\n    A: 1\n  from: alpine\n  name: app-0000")},
		{"a long list, made step by step", `{{ $l := list }}{{ range until 5000 }}{{ $l = append $l . }}{{ end }}{{ len $l }}`, 4},
		{"a value that contains itself, not printed", `{{ $_ := set . "root" . }}{{ .root.root.Env }}{{ include "x" .root }}{{ define "x" }}{{ .root.Env }}{{ end }}`, 0},
		{"deep includes that end", `{{ define "r" }}{{ if gt . 0 }}{{ include "r" (sub . 1) }}{{ end }}{{ end }}{{ include "r" (int64 900) }}`, 0},
		{"long values", `{{ repeat 1000000 "abc" | sha256sum | len }}{{ indent 100 "a" }}{{ seq 3 1 }}{{ untilStep 5 0 -2 }}{{ seq }}`, 2 + 101 + 5 + 7},
		{"a wide number", `{{ printf "%010d%5.2f%%" 1 2.0 }}`, 16},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := Render(t.Context(), "werf.yaml", []byte(test.text), Project{})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Text) != test.length {
				t.Errorf("%d bytes, want %d: %.200q", len(out.Text), test.length, out.Text)
			}
		})
	}
}

// text/template parses nested blocks and parentheses by recursion.
func TestDeepTexts(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"blocks", strings.Repeat("{{ if 1 }}", maxBlocks+1), "werf.yaml: more than 20000 blocks (if, range, with) in one template"},
		{"else if", "{{ if 1 }}" + strings.Repeat("{{- else if 1 }}", maxBlocks) + "{{ end }}", "werf.yaml: more than 20000 blocks (if, range, with) in one template"},
		{"parentheses", "{{ " + strings.Repeat("(", 100_000), "werf.yaml:1: max expression depth exceeded"},
	}
	for _, test := range tests {
		_, err := Render(t.Context(), "werf.yaml", []byte(test.text), Project{})
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: got %.200v", test.name, err)
		}
	}
	nested := strings.Repeat("{{ if 1 }}", maxBlocks) + "x" + strings.Repeat("{{ end }}", maxBlocks)
	if out, err := Render(t.Context(), "werf.yaml", []byte(nested), Project{}); err != nil || string(out.Text) != "x" {
		t.Errorf("%d blocks in each other: %.200v", maxBlocks, err)
	}
}

func BenchmarkRender(b *testing.B) {
	text := []byte(`{{ range $i := until 1060 }}image: app-{{ printf "%04d" $i }}
dockerfile: {{ include "file" (dict "root" $ "i" $i) }}
args:
  VERSION: {{ $.Env | default "dev" | quote }}
---
{{ end }}{{ define "file" }}services/{{ .i }}/Dockerfile{{ end }}`)
	for b.Loop() {
		if _, err := Render(b.Context(), "werf.yaml", text, Project{Env: "prod"}); err != nil {
			b.Fatal(err)
		}
	}
}
