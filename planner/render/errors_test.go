package render

import (
	"errors"
	"strings"
	"testing"

	"slipway/planner/diag"
)

func TestErrors(t *testing.T) {
	files := tree(
		".werf/boom.tmpl", "first\n  {{ fail \"boom\" }}\n",
		".werf/chain.tmpl", "{{ define \"inner\" }}\n{{ include \"boom.tmpl\" . }}{{ end }}",
		"part.yaml", "image: {{ .Env }}\nfrom: {{ template \"inner\" . }}\n",
		"unknown.yaml", "a: 1\nb: {{ nope }}\n",
	)
	tests := []struct{ name, text, want string }{
		{"unknown function", "a: 1\nb: {{ trimSufix \"a\" \"b\" }}", "werf.yaml:2:7: there is no function \"trimSufix\"\n" +
			"  2 | b: {{ trimSufix \"a\" \"b\" }}\n    |       ^\n  did you mean \"trimSuffix\"?"},
		{"hooks cannot be called", "{{ _tick }}", "werf.yaml:1:4: there is no function \"_tick\"\n  1 | {{ _tick }}\n    |    ^\n  did you mean \"pick\"?"},
		{"no }}", "a\nb: {{ 1\n2", "werf.yaml:2: a {{ has no }}\n  2 | b: {{ 1"},
		{"no }}, and text after it", "a\n# {{ .b\nimage: {{ .c }}\n", "werf.yaml:2: a {{ has no }}\n  2 | # {{ .b"},
		{"no }}, and no other action", "a\n# {{ .b\nimage: c\n", "werf.yaml:2: a {{ has no }}\n  2 | # {{ .b"},
		{"an action of two lines", "a: {{ list 1\n  | image }}{{ .c }}\n", "werf.yaml:2:5: there is no function \"image\"\n  2 |   | image }}{{ .c }}\n    |     ^"},
		{"no }} at the end", "{{ if", "werf.yaml:1: a {{ has no }}\n  1 | {{ if"},
		{"no end", "{{ if true }}", "werf.yaml:1: the text ends inside a block\n  1 | {{ if true }}\n" +
			"  each {{ if }}, {{ range }}, {{ with }}, {{ define }} and {{ block }} needs its {{ end }}"},
		{"end too many", "a\n{{ end }}", "werf.yaml:2: this {{ end }} belongs to no block\n  2 | {{ end }}"},
		{"empty action", "{{ }}", "werf.yaml:1: a value is missing in command\n  1 | {{ }}"},
		{"unterminated text", "{{ print \"a }}", "werf.yaml:1: unterminated quoted string\n  1 | {{ print \"a }}"},
		{"defined twice in a file", "{{ define \"a\" }}1{{ end }}\n{{ define \"a\" }}2{{ end }}", "werf.yaml:2: multiple definition of template \"a\"\n" +
			"  2 | {{ define \"a\" }}2{{ end }}"},
		{"variable out of its block", "{{ if true }}{{ $x := 1 }}{{ end }}\n{{ $x }}", "werf.yaml:2: there is no variable $x here\n  2 | {{ $x }}\n" +
			"  a variable that is made inside a block, a define or another template is not known outside: " +
			"make it before the block, and set it there with {{ $x = … }}"},
		{"constant after a pipe", "{{ 1 | 2 }}", "werf.yaml:1: only a function can stand after |\n  1 | {{ 1 | 2 }}"},

		{"columns are characters", "имя: {{ fail \"нет\" }}", "werf.yaml:1:9: нет\n  1 | имя: {{ fail \"нет\" }}\n    |         ^"},
		{"required", "{{ required \"set .tag: 100% needed\" .tag }}", "werf.yaml:1:4: set .tag: 100% needed\n" +
			"  1 | {{ required \"set .tag: 100% needed\" .tag }}\n    |    ^"},
		{"required, empty text", "{{ \"\" | required \"m\" }}", "werf.yaml:1:9: m\n  1 | {{ \"\" | required \"m\" }}\n    |         ^"},
		{"unset variable", "{{ env \"TAG\" }}", "werf.yaml:1:4: the environment variable \"TAG\" is not set\n  1 | {{ env \"TAG\" }}\n    |    ^\n" +
			"  set it, or give a default: {{ env \"TAG\" \"default\" }}"},
		{"env of three", "{{ env \"A\" \"B\" \"C\" }}", "werf.yaml:1:4: env takes a name and one default, not 2\n  1 | {{ env \"A\" \"B\" \"C\" }}\n    |    ^\n" +
			"  write {{ env \"NAME\" \"default\" }}"},
		{"missing file", "{{ .Files.Get \"no\" }}", "werf.yaml:1:10: the file \"no\" is not in the project at this commit\n  1 | {{ .Files.Get \"no\" }}\n    |          ^\n" +
			"  paths are relative to the project; a file that exists must also be committed"},
		{"directory", "{{ .Files.Get \".werf/\" }}", "werf.yaml:1:10: \".werf\" is a directory\n  1 | {{ .Files.Get \".werf/\" }}\n    |          ^\n" +
			"  read its files with .Files.Glob \".werf/*\""},
		{"out of the project", "{{ .Files.Exists \"a/../../b\" }}", "werf.yaml:1:10: the path \"a/../../b\" leads out of the project\n" +
			"  1 | {{ .Files.Exists \"a/../../b\" }}\n    |          ^\n  paths are relative to the project's directory"},
		{"bad pattern", "{{ .Files.Glob \"a/{b\" }}", "werf.yaml:1:10: the pattern \"a/{b\" is wrong: a { is not closed\n  1 | {{ .Files.Glob \"a/{b\" }}\n    |          ^"},
		{"misspelt method", "{{ .Files.Gt \"a\" }}", "werf.yaml:1:10: there is no .Gt in the value before it\n  1 | {{ .Files.Gt \"a\" }}\n    |          ^\n" +
			"  .Files has Get, Glob, Exists and IsDir"},
		{"misspelt field", "{{ $.Commit.Hsh }}", "werf.yaml:1:5: there is no .Hsh in the value before it\n  1 | {{ $.Commit.Hsh }}\n    |     ^\n" +
			"  .Commit has Hash, Date.Human and Date.Unix"},
		{"unknown template", "{{ include \"bom.tmpl\" . }}", "werf.yaml:1:4: there is no template \"bom.tmpl\"\n  1 | {{ include \"bom.tmpl\" . }}\n    |    ^\n" +
			"  did you mean \"boom.tmpl\"?"},
		{"unknown template, nothing near", "{{ template \"x\" }}", "werf.yaml:1:13: there is no template \"x\"\n  1 | {{ template \"x\" }}\n    |             ^\n" +
			"  a template is a file .werf/**/*.tmpl, by its path in that directory, or a name in {{ define }}"},
		{"number of arguments", "{{ include \"boom.tmpl\" }}", "werf.yaml:1:4: include takes 2 arguments, not 1\n  1 | {{ include \"boom.tmpl\" }}\n    |    ^"},
		{"no value for a text", "{{ trimSuffix \"a\" .x }}", "werf.yaml:1:19: a string is needed here, and the value is not set\n" +
			"  1 | {{ trimSuffix \"a\" .x }}\n    |                   ^\n  give it one with default"},
		{"number for a text", "{{ trimSuffix 1 \"a\" }}", "werf.yaml:1:15: a string is needed here, not 1\n  1 | {{ trimSuffix 1 \"a\" }}\n    |               ^"},
		{"list for a text", "{{ list | trim }}", "werf.yaml:1:11: a string is needed here, not a list\n  1 | {{ list | trim }}\n    |           ^"},
		{"field of nothing", "{{ (dict \"a\" nil).a.b }}", "werf.yaml:1:14: there is no .b: the value before it is not set\n" +
			"  1 | {{ (dict \"a\" nil).a.b }}\n    |              ^\n  test it with {{ if }} or {{ with }}, or give a default with dig"},
		{"comparison", "{{ eq 1 \"a\" }}", "werf.yaml:1:4: values of different types cannot be compared\n  1 | {{ eq 1 \"a\" }}\n    |    ^\n" +
			"  make both of one type first: toString, int, float64"},
		{"range over text", "{{ range \"x\" }}{{ end }}", "werf.yaml:1:10: range needs a list, a map or a whole number\n  1 | {{ range \"x\" }}{{ end }}\n    |          ^"},
		{"a function's own error", "{{ mustRegexMatch \"(\" \"a\" }}", "werf.yaml:1:4: mustRegexMatch: error parsing regexp: missing closing ): `(`\n" +
			"  1 | {{ mustRegexMatch \"(\" \"a\" }}\n    |    ^"},
		{"a function's panic", "{{ substr 5 1 \"abc\" }}", "werf.yaml:1:4: substr cannot work on these arguments: slice bounds out of range [5:1]\n" +
			"  1 | {{ substr 5 1 \"abc\" }}\n    |    ^"},
		{"bad YAML", "{{ fromYaml \"a: [\" }}", "werf.yaml:1:4: fromYaml: line 1: did not find expected node content\n  1 | {{ fromYaml \"a: [\" }}\n    |    ^"},
		{"a key twice", "{{ fromYaml \"a: 1\\na: 2\" }}", "werf.yaml:1:4: fromYaml: unmarshal errors:\n  line 2: key \"a\" already set in map\n" +
			"  1 | {{ fromYaml \"a: 1\\na: 2\" }}\n    |    ^"},

		{"in a template", "a\n{{ include \"boom.tmpl\" . }}", ".werf/boom.tmpl:2:6: boom\n  2 |   {{ fail \"boom\" }}\n    |      ^\n" +
			"  included from werf.yaml:2:4 by include \"boom.tmpl\""},
		{"through tpl, template, include", "{{ range list 1 }}\n{{ tpl ($.Files.Get \"part.yaml\") $ }}{{ end }}", ".werf/boom.tmpl:2:6: boom\n  2 |   {{ fail \"boom\" }}\n    |      ^\n" +
			"  included from .werf/chain.tmpl:2:4 by include \"boom.tmpl\"\n" +
			"  included from part.yaml:2:19 by template \"inner\"\n" +
			"  included from werf.yaml:2:4 by tpl"},
		{"parse error in a file given to tpl", "{{ tpl (.Files.Get \"unknown.yaml\") . }}", "unknown.yaml:2:7: there is no function \"nope\"\n  2 | b: {{ nope }}\n    |       ^\n" +
			"  included from werf.yaml:1:4 by tpl"},
		{"parse error in a text given to tpl", "{{ tpl \"{{ nope }}\" . }}", "text given to tpl:1:4: there is no function \"nope\"\n  1 | {{ nope }}\n    |    ^\n" +
			"  included from werf.yaml:1:4 by tpl"},
		{"advice follows the chain", "{{ tpl \"{{ .Files.Gt }}\" . }}", "text given to tpl:1:10: there is no .Gt in the value before it\n  1 | {{ .Files.Gt }}\n    |          ^\n" +
			"  included from werf.yaml:1:4 by tpl\n  .Files has Get, Glob, Exists and IsDir"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := Render(t.Context(), "werf.yaml", []byte(test.text), Project{Files: files, Commit: head})
			if err == nil {
				t.Fatalf("rendered as %q", out.Text)
			}
			if !diag.Is(err) || err.Error() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestParseErrorsOfSeveralFiles(t *testing.T) {
	files := tree(".werf/b.tmpl", "{{ b", ".werf/a.tmpl", "\n{{ nope1 }}", ".werf/good.tmpl", "{{ 1 }}")
	_, err := Render(t.Context(), "werf.yaml", []byte("{{ nope2 }}"), Project{Files: files})
	want := ".werf/a.tmpl:2:4: there is no function \"nope1\"\n  2 | {{ nope1 }}\n    |    ^\n" +
		".werf/b.tmpl:1:4: there is no function \"b\"\n  1 | {{ b\n    |    ^\n" +
		"werf.yaml:1:4: there is no function \"nope2\"\n  1 | {{ nope2 }}\n    |    ^"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	// A text with no action needs no templates.
	if _, err := Render(t.Context(), "werf.yaml", []byte("a: 1"), Project{Files: files}); err != nil {
		t.Error(err)
	}
}

func TestForbiddenVariables(t *testing.T) {
	project := Project{
		Files:  tree(".werf/a.tmpl", "tag: {{ env \"CI_TAG\" }}\n"),
		Getenv: environ("CI_TAG", "!", "A", "!", "A-B", "!", "OK", "fine"),
	}
	const block = "allow it in werf-giterminism.yaml, under config.goTemplateRendering.allowEnvVariables, and commit that file:\n\n" +
		"  giterminismConfigVersion: 1\n  config:\n    goTemplateRendering:\n      allowEnvVariables:\n"
	tests := []struct{ name, text, want string }{
		{"one", "a: 1\nb: {{ env \"CI_TAG\" }}", "werf.yaml:2:7: giterminism does not allow reading the environment variable \"CI_TAG\"\n" +
			"  2 | b: {{ env \"CI_TAG\" }}\n    |       ^\n  " + block + "        - CI_TAG"},
		{"a default does not allow it", "{{ env \"A\" \"d\" }}", "werf.yaml:1:4: giterminism does not allow reading the environment variable \"A\"\n" +
			"  1 | {{ env \"A\" \"d\" }}\n    |    ^\n  " + block + "        - A"},
		{"all at once, each once, and nothing that follows from them",
			"{{ env \"OK\" }}{{ env \"A\" }}{{ env \"A\" }}\n{{ include \"a.tmpl\" . }}\n{{ env \"A-B\" }}{{ required \"gone\" (env \"A\") }}",
			".werf/a.tmpl:1:9: giterminism does not allow reading the environment variable \"CI_TAG\"\n" +
				"  1 | tag: {{ env \"CI_TAG\" }}\n    |         ^\n  included from werf.yaml:2:4 by include \"a.tmpl\"\n" +
				"werf.yaml:1:18: giterminism does not allow reading the environment variable \"A\"\n" +
				"  1 | {{ env \"OK\" }}{{ env \"A\" }}{{ env \"A\" }}\n    |                  ^\n" +
				"werf.yaml:3:4: giterminism does not allow reading the environment variable \"A-B\"\n" +
				"  3 | {{ env \"A-B\" }}{{ required \"gone\" (env \"A\") }}\n    |    ^\n  " +
				block + "        - A\n        - CI_TAG\n        - \"A-B\""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Render(t.Context(), "werf.yaml", []byte(test.text), project)
			if err == nil || err.Error() != test.want || !diag.Is(err) {
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

// However many variables are forbidden, rendering ends.
func TestManyForbiddenVariables(t *testing.T) {
	project := Project{Getenv: func(string) (string, bool, error) { return "", false, ErrForbidden }}
	_, err := Render(t.Context(), "werf.yaml", []byte(`{{ range until 500 }}{{ env (print "V" .) }}{{ end }}`), project)
	var list diag.List
	if !errors.As(err, &list) || len(list) != 1 && len(list) != maxForbidden {
		t.Fatalf("got %v", err)
	}
	if n := strings.Count(err.Error(), "\n        - V"); n != maxForbidden {
		t.Errorf("%d variables are named, want %d", n, maxForbidden)
	}
}
