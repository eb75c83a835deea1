package render

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzRender looks for texts that crash, hang, render differently the second
// time, or give an error or a line that is nowhere. What include could loop
// with is at hand: a file that includes, and one that is put through tpl.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"a: {{ .Env }}\n# {{ .Values.x }}\n",
		"{{ range $p, $c := .Files.Glob \"**/*.yaml\" }}{{ tpl $c $ }}---\n{{ end }}",
		"{{ $d := dict \"a\" (list 1 2) }}{{ $_ := set $d \"b\" . }}{{ dig \"a\" \"x\" $d | toYaml | nindent 2 }}",
		"{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ template \"x\" . }}",
		"{{ include \"t.tmpl\" (dict \"x\" (fromYaml \"a: [1, {b: c}]\")) }}",
		"{{ env \"A\" \"d\" | required \"m\" }}{{ env \"NO\" }}{{ .Commit.Date.Unix | date \"2006\" }}",
		"{{ printf \"%-10s %v %#v\" \"a\" 1 (list 1) }}{{ regexSplit \"/\" \"a/b\" -1 | join \",\" | camelcase }}",
		"{{- with $x := merge (dict \"k\" 1) (dict) }}{{ $x.k | int | repeat 3 }}{{ else }}{{ fail \"f\" }}{{ end -}}",
		"{{ if and (eq .Env \"e\") (not .Files) }}{{ else if semverCompare \">1\" \"2.0.0\" }}{{ break }}{{ end }}",
		"{{ untilStep 0 10 3 | chunk 2 | toJson }}{{ now }}{{ substr 1 2 \"abc\" }}{{/* c */}}{{ \"\\u0416\" }}{{ `raw` }}",
		"{{ block \"b\" . }}{{ range 3 }}{{ continue }}{{ end }}{{ end }}{{ deepCopy . }}{{ wrapWith 1 \"ab\" \"cd\" }}",
	} {
		f.Add(seed)
	}
	files := tree(".werf/t.tmpl", "t {{ .x }} {{ define \"y\" }}{{ include \"x\" . }}{{ end }}",
		"a.yaml", "a: {{ .Env }}\n{{ include \"t.tmpl\" . }}", "d/b.yaml", "{{ tpl .t . }}", "d/plain", "text\n")
	f.Fuzz(func(t *testing.T, text string) {
		defer time.AfterFunc(20*time.Second, func() { panic("it hangs") }).Stop()
		project := Project{Files: files, Env: "e", Commit: head, Getenv: environ("A", "", "NO", "!")}
		// A fraction of the work that is let: it is the same code that ends it.
		out, err := render(t.Context(), "werf.yaml", []byte(text), project, 1<<20)
		again, errAgain := render(t.Context(), "werf.yaml", []byte(text), project, 1<<20)
		if err != nil {
			if errAgain == nil || err.Error() != errAgain.Error() {
				t.Fatalf("one error, then another:\n%v\n%v", err, errAgain)
			}
			if strings.Contains(err.Error(), "template: \x00") || strings.Contains(err.Error(), "the template engine failed") {
				t.Fatalf("an error that was not put into words: %v", err)
			}
			return
		}
		if errAgain != nil || !bytes.Equal(out.Text, again.Text) {
			t.Fatalf("one text, then another:\n%q\n%q (%v)", out.Text, again.Text, errAgain)
		}
		source, result := strings.Split(text, "\n"), strings.Split(string(out.Text), "\n")
		for i := range result {
			line, exact := out.Line(i + 1)
			if line < 1 || line > len(source) {
				t.Fatalf("line %d of %d comes from line %d of %d", i+1, len(result), line, len(source))
			}
			if exact != (source[line-1] == result[i]) {
				t.Fatalf("line %d: %q from %q: exact %v", i+1, result[i], source[line-1], exact)
			}
		}
		if _, ok := out.Line(len(result) + 1); ok {
			t.Fatal("a line after the last")
		}
	})
}
