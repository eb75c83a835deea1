package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"slipway/planner/diag"
)

// tree makes a project's files of pairs of path and content.
func tree(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// environ lets templates read the given variables, and no others; one whose
// value is "!" is forbidden.
func environ(pairs ...string) func(string) (string, bool, error) {
	return func(name string) (string, bool, error) {
		for i := 0; i < len(pairs); i += 2 {
			switch {
			case pairs[i] != name:
			case pairs[i+1] == "!":
				return "", false, fmt.Errorf("reading %s: %w", name, ErrForbidden)
			default:
				return pairs[i+1], true, nil
			}
		}
		return "", false, nil
	}
}

func head() (Commit, error) {
	return Commit{Hash: "577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac", Human: "2025-05-21 14:39:58 +0300 +0300", Unix: 1747827598}, nil
}

func TestRender(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		project Project
		want    string
	}{
		{"no action", "a: {b: c}\r\n", Project{}, "a: {b: c}\r\n"},
		{"empty", "", Project{}, ""},
		{"an action in a comment", "# {{ print 1 }}\n", Project{}, "# 1\n"},
		{"CRLF, Cyrillic, no last line end", "# имя: {{ 1 }}\r\nb", Project{}, "# имя: 1\r\nb"},
		{"actions before the first document", "{{ $x := 1 }}---\na: {{ $x }}\n--- \n", Project{}, "---\na: 1\n--- \n"},
		{"trim markers", "a:\n  {{- range list 1 2 }}\n  - {{ . }}\n  {{- end }}\n", Project{}, "a:\n  - 1\n  - 2\n"},
		{"quoted actions of another language", "{{`{{ item | quote }}`}}", Project{}, "{{ item | quote }}"},

		{".Values is not here", "{{ .Values.a.b }} {{ .Values }} {{ $.x }}", Project{}, "<no value> <no value> <no value>"},
		{".Env", "{{ if eq .Env \"prod\" }}p{{ else }}d{{ end }}", Project{Env: "prod"}, "p"},
		{".Env is empty", "[{{ .Env }}]", Project{}, "[]"},
		{".Commit", "{{ .Commit.Hash }} {{ .Commit.Date.Human }} {{ .Commit.Date.Unix }}", Project{Commit: head},
			"577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac 2025-05-21 14:39:58 +0300 +0300 1747827598"},
		{"rebuild every month", "fromCacheVersion: {{ div .Commit.Date.Unix (mul 60 60 24 30) }}", Project{Commit: head}, "fromCacheVersion: 674"},
		{".Commit whole", "{{ .Commit }} {{ toJson .Commit }}", Project{Commit: head},
			`577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac {"Date":{"Human":"2025-05-21 14:39:58 +0300 +0300","Unix":1747827598},"Hash":"577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac"}`},
		{"the context whole holds no addresses", "{{ . }} {{ toJson . }}", Project{Commit: head, Env: "e"},
			`map[Commit:577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac Env:e Files:.Files] {"Commit":{"Date":{"Human":"2025-05-21 14:39:58 +0300 +0300","Unix":1747827598},"Hash":"577ec7a7caf4d5f94d5cf05df5c0fb74f5a8b6ac"},"Env":"e","Files":{}}`},

		{"set on the context", "{{ $_ := set . \"BaseImage\" \"node:14\" }}from: {{ .BaseImage }}", Project{}, "from: node:14"},
		{"env into the context", "{{ $_ := env \"BRANCH\" | set . \"Branch\" }}{{ .Branch }}", Project{Getenv: environ("BRANCH", "b")}, "b"},
		{"env", "{{ env \"A\" }} {{ env \"A\" \"d\" }} {{ env \"B\" \"d\" }} {{ env \"E\" \"d\" }} [{{ env \"E\" }}]",
			Project{Getenv: environ("A", "a", "E", "")}, "a a d d []"},
		{"env with no environment at all", "{{ env \"A\" \"d\" }}", Project{}, "d"},
		{"required", "{{ required \"m\" \"v\" }} {{ required \"m\" 0 }} {{ required \"m\" false }}", Project{}, "v 0 false"},

		{"template by path and by define", "{{ include \"d/a.tmpl\" . }}+{{ include \"b\" (dict \"x\" 1) }}",
			Project{Files: tree(".werf/d/a.tmpl", "A{{ define \"b\" }}B{{ .x }}{{ end }}", ".werf/n.txt", "{{ nope")}, "A+B1"},
		{"template action, block", "{{ template \"t\" 5 }}{{ template \"t\" }}{{ block \"b\" 7 }}[{{ . }}]{{ end }}{{ define \"t\" }}({{ . }}){{ end }}", Project{}, "(5)(<no value>)[7]"},
		{"templates directory elsewhere", "{{ include \"a.tmpl\" . }}", Project{TemplatesDir: "deploy/t[1]", Files: tree("deploy/t[1]/a.tmpl", "A", "deploy/t1/a.tmpl", "B")}, "A"},
		{"werf.yaml defines last", "{{ include \"x\" . }}{{ define \"x\" }}own{{ end }}", Project{Files: tree(".werf/a.tmpl", "{{ define \"x\" }}a{{ end }}")}, "own"},
		{"of two files the later defines", "{{ include \"x\" . }}", Project{Files: tree(".werf/b.tmpl", "{{ define \"x\" }}b{{ end }}", ".werf/a.tmpl", "{{ define \"x\" }}a{{ end }}")}, "b"},
		{"include piped", "a:\n{{- include \"x\" . | nindent 2 }}{{ define \"x\" }}b: 1\nc: 2{{ end }}", Project{}, "a:\n  b: 1\n  c: 2"},
		{"recursion that ends", "{{ define \"r\" }}{{ . }}{{ if gt . 0 }}{{ include \"r\" (sub . 1 | int) }}{{ end }}{{ end }}{{ include \"r\" 3 }}", Project{}, "3210"},

		{"partials by glob and tpl",
			"{{ $_ := set . \"Base\" \"node\" }}{{ range $path, $content := .Files.Glob \"**/werf-partial.yaml\" }}---\n{{ tpl $content $ }}\n{{ end }}{{ define \"c\" }}- npm i{{ end }}",
			Project{Files: tree("front/werf-partial.yaml", "image: front\nfrom: {{ .Base }}", "back/werf-partial.yaml", "image: back\nrun:\n{{ include \"c\" . }}", "x.yaml", "")},
			"---\nimage: back\nrun:\n- npm i\n---\nimage: front\nfrom: node\n"},
		{"whole configuration of .werf/*.yaml",
			"{{ range $_, $f := .Files.Glob \".werf/*.yaml\" }}{{ tpl $f $ }}---\n{{ end }}",
			Project{Env: "dev", Files: tree(".werf/b.yaml", "b: {{ .Env }}\n", ".werf/a.yaml", "a: 1\n", ".werf/sub/c.yaml", "c")}, "a: 1\n---\nb: dev\n---\n"},
		{"definitions made in tpl stay", "{{ tpl \"{{ define `x` }}1{{ end }}\" . }}{{ include \"x\" . }}{{ tpl \"{{ define `x` }}2{{ end }}\" . }}{{ include \"x\" . }}{{ tpl \"{{ define `x` }}1{{ end }}\" . }}{{ include \"x\" . }}", Project{}, "121"},
		{"tpl on an environment variable", "{{ tpl (env \"T\") . }}", Project{Env: "e", Getenv: environ("T", "<{{ .Env }}>")}, "<e>"},
		{"merged globs", "{{ range $p, $c := merge (.Files.Glob \"a/*\") (.Files.Glob \"b/*\") }}{{ $p }}={{ $c }} {{ end }}", Project{Files: tree("a/1", "x", "b/2", "y")}, "a/1=x b/2=y "},
		{"a changed glob is not remembered", "{{ $_ := set (.Files.Glob \"*\") \"z\" \"\" }}{{ len (.Files.Glob \"*\") }}", Project{Files: tree("a", "")}, "1"},
		{"image names from directories", "{{ range $p, $_ := .Files.Glob \"modules/*/images/*/{Dockerfile,werf.inc.yaml}\" }}{{ $s := regexSplit \"/\" $p -1 }}{{ index $s 1 | camelcase }}/{{ index $s 3 | trimSuffix \"-image\" }} {{ end }}",
			Project{Files: tree("modules/my_mod/images/api-image/Dockerfile", "", "modules/x/images/web/werf.inc.yaml", "", "modules/x/images/web/main.go", "")}, "MyMod/api X/web "},
		{".Files with a leading slash, a dot", "{{ .Files.Get \"/a\" }}{{ .Files.Get \"./a\" }}{{ .Files.Exists \"/\" }}{{ len (.Files.Glob \"/**\") }}", Project{Files: tree("a", "1")}, "11true1"},
		{".Files.Exists and IsDir", "{{ .Files.Exists \"d\" }} {{ .Files.Exists \"d/f\" }} {{ .Files.Exists \"n\" }} {{ .Files.IsDir \"d\" }} {{ .Files.IsDir \"d/f\" }} {{ .Files.IsDir \"n\" }}",
			Project{Files: tree("d/f", "")}, "true true false true false false"},
		{"no files at all", "{{ .Files.Exists \"a\" }}{{ .Files.Glob \"*\" }}", Project{}, "falsemap[]"},

		{"values of a YAML file", "{{- $v := .Files.Get \"v.yaml\" | fromYaml -}}\nfrom: {{ $v.image.from }}:{{ $v.image.tag }} {{ dig \"image\" \"no\" \"d\" $v }} {{ $v.n.o }} {{ eq $v.port 1000000 }} {{ $v.port }}",
			Project{Files: tree("v.yaml", "image: {from: alpine, tag: 3.10}\nport: 1000000\n")}, "from: alpine:3.1 d <no value> true 1000000"},
		{"fromYaml of all kinds", "{{ fromYaml \"[1, -2, 1.5, 1e3, yes, ~, 2020-01-02, 99999999999999999999]\" }} {{ fromYaml \"\" }} {{ fromYaml \"s\" }} {{ fromYaml \"1: a\" }}", Project{},
			"[1 -2 1.5 1000 true <nil> 2020-01-02 1e+20] map[] s map[1:a]"},
		{"toYaml", "{{ dict \"b\" (list 1 \"x\") \"a\" nil | toYaml }}|", Project{}, "a: null\nb:\n- 1\n- x|"},
		{"json", "{{ (fromJson \"{\\\"a\\\": [1]}\").a }} {{ list 1 | toJson }} {{ dict \"a\" 1 | toPrettyJson }}", Project{}, "[1] [1] {\n  \"a\": 1\n}"},
		{"defaults merged over images", "{{ $d := dict \"tag\" \"x\" \"a\" (dict \"k\" 1) }}{{ range $n := list \"api\" \"web\" }}{{ $i := mustMerge (dict \"name\" $n) (deepCopy $d) }}{{ printf \"%s:%s-%v\" $i.name $i.tag $i.a.k }} {{ end }}", Project{}, "api:x-1 web:x-1 "},
		{"keys and values in order", "{{ $d := dict \"c\" 1 \"a\" 2 \"b\" 3 }}{{ keys $d }}{{ values $d }}{{ keys $d (dict \"A\" 1) }}", Project{}, "[a b c][2 3 1][a b c A]"},
		{"break, continue, assignment", "{{ $n := 0 }}{{ range until 10 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ if eq . 5 }}{{ break }}{{ end }}{{ $n = add $n . }}{{ end }}{{ $n }}", Project{}, "8"},
		{"range else, with else", "{{ range list }}x{{ else }}none{{ end }} {{ with .x }}x{{ else with .Env }}{{ . }}{{ end }}", Project{Env: "e"}, "none e"},
		{"what looks like a hook is a function that is not there", "{{ \"_print\" }}", Project{}, "_print"},
		{"text/template's own functions", "{{ html \"<\" }}{{ js \"'\" }}{{ urlquery \"a b\" }}{{ println 1 }}{{ len \"ab\" }}{{ index \"abc\" 1 }}{{ and 1 2 }}{{ not 1 }}", Project{}, "&lt;\\'a+b1\n2982false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the same each time
				out, err := Render(t.Context(), "werf.yaml", []byte(test.text), test.project)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(out.Text); got != test.want {
					t.Errorf("got:\n%q\nwant:\n%q", got, test.want)
				}
			}
		})
	}
}

func TestOutputNamesWhatWasRead(t *testing.T) {
	project := Project{Files: tree(".werf/a.tmpl", "", "v", "", "g/1", "", "g/2", "", "other", "")}
	out, err := Render(t.Context(), "werf.yaml", []byte(
		`{{ .Files.Get "./v" }}{{ .Files.Exists "no" }}{{ .Files.IsDir "g/" }}{{ .Files.Glob "/g/*" }}{{ .Files.Glob "none/**" }}`), project)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{".werf/a.tmpl", "g", "g/1", "g/2", "no", "v"}; !slices.Equal(out.Files, want) {
		t.Errorf("files %q, want %q", out.Files, want)
	}
	if want := []string{".werf/**/*.tmpl", "g/*", "none/**"}; !slices.Equal(out.Globs, want) {
		t.Errorf("globs %q, want %q", out.Globs, want)
	}
	plain, err := Render(t.Context(), "werf.yaml", []byte("a: 1\n"), project)
	if err != nil || plain.Rendered || !out.Rendered || plain.Files != nil || plain.Globs != nil {
		t.Errorf("a text without actions read %q and %q: %v", plain.Files, plain.Globs, err)
	}
}

func TestCommitIsAskedOnceAndOnlyIfUsed(t *testing.T) {
	asked := 0
	project := Project{Commit: func() (Commit, error) { asked++; return head() }}
	for text, want := range map[string]int{"{{ .Env }}": 0, "{{ .Commit.Hash }}{{ .Commit.Date.Unix }}{{ .Commit.Hash }}": 1} {
		asked = 0
		if _, err := Render(t.Context(), "werf.yaml", []byte(text), project); err != nil || asked != want {
			t.Errorf("%s: asked %d times, want %d: %v", text, asked, want, err)
		}
	}
}

func TestLine(t *testing.T) {
	tests := []struct{ name, text, want string }{
		// For each rendered line, the line that made it; * where it is not exact.
		{"no action", "a\nb\n", "1 2 3"},
		{"an action within a line", "a\nb: {{ 1 }}\nc\n", "1 2* 3 4"},
		{"an action that yields what it is not", "{{ $x := 1 }}\na: 1\n", "1* 2 3"},
		{"an action of several lines", "{{ list\n1\n2 }}\na\n", "1* 4 5"},
		{"a value of several lines", "a\n{{ \"x\\ny\" }}\nb", "1 2* 2* 3"},
		{"trimmed", "a\n{{- if true }}\nb\n{{- end }}\nc\n", "1 3 5 6"},
		{"a loop", "a\n{{ range list 1 2 }}b\nc: {{ . }}\n{{ end }}d", "1 2* 3* 2* 3* 4*"},
		{"an included template", "a\n{{ include \"x\" . }}\nb\n{{ define \"x\" }}1\n2\n3{{ end }}", "1 2* 2* 2* 3 4*"},
		{"nothing", "{{ if false }}\na\n{{ end }}", "1*"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := Render(t.Context(), "werf.yaml", []byte(test.text), Project{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range strings.Split(string(out.Text), "\n") {
				line, exact := out.Line(i + 1)
				got = append(got, fmt.Sprint(line)+map[bool]string{false: "*"}[exact])
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("lines of %q: %s, want %s", out.Text, got, test.want)
			}
			for _, n := range []int{-1, 0, len(got) + 1} {
				if line, exact := out.Line(n); line != 0 || exact {
					t.Errorf("line %d comes from %d, %v", n, line, exact)
				}
			}
		})
	}
}

func TestDebug(t *testing.T) {
	const text = `{{ printf_debug "a %d" 1 }}{{ dump_debug (dict "b" 1) }}{{ include_debug "x" 2 }}{{ tpl_debug "{{ . }}" 3 }}{{ define "x" }}<{{ . }}>{{ end }}`
	var log bytes.Buffer
	for _, debug := range []Project{{}, {Debug: &log}} {
		out, err := Render(t.Context(), "werf.yaml", []byte(text), debug)
		if err != nil || string(out.Text) != "<2>3" {
			t.Errorf("got %v, %v", out, err)
		}
	}
	want := "a 1\nmap[string]interface {}:\nb: 1\ninclude \"x\":\n<2>\ntpl of:\n{{ . }}\ngives:\n3\n"
	if log.String() != want {
		t.Errorf("log:\n%s\nwant:\n%s", &log, want)
	}
}

// brokenFS fails in the way that a repository can.
type brokenFS struct {
	fstest.MapFS
	err error
}

func (b brokenFS) ReadFile(name string) ([]byte, error) {
	if name == "bad" || strings.HasSuffix(name, "bad.tmpl") {
		return nil, &fs.PathError{Op: "read", Path: name, Err: b.err}
	}
	return b.MapFS.ReadFile(name)
}

func TestProjectErrors(t *testing.T) {
	broken := errors.New("the repository is damaged")
	dirty := &diag.Diagnostic{Message: `the file "bad" must be committed`, Advice: "commit it"}
	commit := func() (Commit, error) { return Commit{}, broken }
	tests := []struct {
		name, text string
		project    Project
		want       string
		input      bool // the user's mistake
	}{
		{"get", "a\n{{ .Files.Get \"bad\" }}", Project{Files: brokenFS{tree("bad", ""), broken}},
			"rendering werf.yaml: werf.yaml:2:10: read bad: the repository is damaged", false},
		{"glob", "{{ .Files.Glob \"*\" }}", Project{Files: brokenFS{tree("bad", ""), broken}},
			"rendering werf.yaml: werf.yaml:1:10: read bad: the repository is damaged", false},
		{"template", "{{ 1 }}", Project{Files: brokenFS{tree(".werf/bad.tmpl", ""), broken}},
			"rendering werf.yaml: read .werf/bad.tmpl: the repository is damaged", false},
		{"commit", "{{ .Commit.Hash }}", Project{Commit: commit}, "rendering werf.yaml: werf.yaml:1:11: the repository is damaged", false},
		{"no commit", "{{ .Commit.Date.Unix }}", Project{}, "rendering werf.yaml: werf.yaml:1:11: there is no commit here", false},
		{"environment", "{{ env \"A\" }}", Project{Getenv: func(string) (string, bool, error) { return "", false, broken }},
			"rendering werf.yaml: werf.yaml:1:4: the repository is damaged", false},
		{"a diagnostic gets its place", "{{ .Files.Get \"bad\" }}", Project{Files: brokenFS{tree("bad", ""), dirty}},
			"werf.yaml:1:10: the file \"bad\" must be committed\n  1 | {{ .Files.Get \"bad\" }}\n    |          ^\n  commit it", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Render(t.Context(), "werf.yaml", []byte(test.text), test.project)
			if err == nil || err.Error() != test.want || diag.Is(err) != test.input {
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
			if !test.input && test.name != "no commit" && !errors.Is(err, broken) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	// The template itself ends the context, and then would loop for long.
	project := Project{Getenv: func(string) (string, bool, error) { cancel(); return "", true, nil }}
	_, err := Render(ctx, "werf.yaml", []byte(`{{ env "A" }}{{ range 100000000 }}{{ end }}`), project)
	if !errors.Is(err, context.Canceled) || diag.Is(err) {
		t.Errorf("got %v", err)
	}
}
