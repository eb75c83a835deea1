package render

import (
	"bytes"
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// script is a Program that does something else.
func script(t *testing.T, text string) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return func(start func(string) error) (func(), error) { return func() {}, start(path) }
}

// A process that ends without an answer is an error of a few lines.
func TestProcessCrashes(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   []string
	}{
		"stack":     {"echo 'runtime: goroutine stack exceeds 1000000000-byte limit' >&2\necho 'fatal error: stack overflow' >&2\necho 'goroutine 1 [running]:' >&2\nexit 2\n", []string{"exit status 2: fatal error: stack overflow on "}},
		"panic":     {"echo 'panic: oh no' >&2\necho 'goroutine 1 [running]:' >&2\nexit 2\n", []string{"exit status 2: panic: oh no on "}},
		"memory":    {"echo 'a warning with a value' >&2\nkill -9 $$\n", []string{"signal: killed on ", "more memory than there is"}},
		"noise":     {"cat >/dev/null &\necho what; echo why >&2\nexit 0\n", []string{"ended without an answer: why on "}},
		"no end":    {"cat /dev/zero\n", []string{"signal: killed on "}},
		"no answer": {"exit 0\n", []string{"ended without an answer on "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(t.Context(), load(t, files), Options{Program: script(t, test.script)})
			if !errors.Is(err, ErrProcess) || !strings.HasPrefix(err.Error(), "the process that renders charts ended") || !strings.Contains(err.Error(), " on the templates of chart web; ") || strings.Contains(err.Error(), "goroutine") {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

// Of the environment it has what it needs, and nothing else.
func TestEnvironment(t *testing.T) {
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("PASSWORD", "secret")
	_, err := Render(t.Context(), load(t, files), Options{Program: script(t, "cat >/dev/null &\necho $TZ,$HTTPS_PROXY,$PASSWORD. >&2\n")})
	if err == nil || !strings.Contains(err.Error(), ": Asia/Tokyo,http://127.0.0.1:1,. on ") {
		t.Errorf("got %v", err)
	}
}

// A program that cannot be started is no mistake of the user's.
func TestProgramIsMissing(t *testing.T) {
	missing := func(start func(string) error) (func(), error) { return nil, start("/nonexistent/program") }
	_, err := Render(t.Context(), load(t, files), Options{Program: missing})
	var e *Error
	if errors.As(err, &e) || !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "starting the process that renders charts: ") {
		t.Errorf("got %v", err)
	}
}

// What Helm warns of is said where it was said when all was one process.
func TestWarningsAreHandedOn(t *testing.T) {
	var b bytes.Buffer
	log.SetOutput(&b)
	defer log.SetOutput(os.Stderr)
	hook := "kind: Pod\nmetadata: {annotations: {helm.sh/hook: unknown}}\n"
	if _, err := Render(t.Context(), load(t, chartOf(map[string]string{"templates/a.yaml": hook})), Options{}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "info: skipping unknown hook: \"unknown\"\n") {
		t.Errorf("got %q", got)
	}
}

// Values are of the types that they have in Helm, whatever they are set with.
func TestTypesOfValues(t *testing.T) {
	set := Values{
		Set: []string{"i=7,b=true,drop=null,nothing=null,f=1.5,s=x,l={1,a}"}, SetString: []string{"t=7"}, SetJSON: []string{`j={"i":7,"f":1.5,"n":null,"l":[]}`},
	}
	dir := write(t, chartOf(map[string]string{
		"values.yaml":      "drop: removed\nc: 7\nbig: 12345678901234567890\nfloat: 7.0\n",
		"templates/a.yaml": "{{ range $k, $v := .Values }}{{ $k }}: '{{ kindOf $v }} {{ typeOf $v }} {{ $v }} {{ toJson $v }}'\n{{ end }}",
	}))
	want, err := helmTemplate(t, dir, "--set", set.Set[0], "--set-string", set.SetString[0], "--set-json", set.SetJSON[0])
	if err != nil {
		t.Fatal(err)
	}
	values, err := set.Merge(os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := Render(t.Context(), c, Options{Release: "rel", Namespace: "ns", Values: values})
	if err != nil {
		t.Fatal(err)
	}
	if got := Text(manifests); got != want || !strings.Contains(got, "i: 'int64 int64 7 7'") || strings.Contains(got, "drop") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
