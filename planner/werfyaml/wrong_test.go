package werfyaml

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/planner/diag"
)

var update = flag.Bool("update", false, "write the diagnostics into testdata/*.golden")

const (
	caseMark = "=== "
	wantMark = "=== diagnostics\n"
)

// Each golden file holds cases: a line with "=== " and the name, the text of a
// werf.yaml, a line "=== diagnostics", and what Parse says about that text.
func TestParseWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var updated strings.Builder
		parts := strings.Split("\n"+string(golden), "\n"+caseMark)[1:]
		if len(parts)%2 != 0 {
			t.Fatalf("%s: a case has no diagnostics", file)
		}
		for i := 0; i < len(parts); i += 2 {
			name, text, _ := strings.Cut(parts[i], "\n")
			if text != "" {
				text += "\n"
			}
			want := strings.TrimPrefix(parts[i+1]+"\n", strings.TrimPrefix(wantMark, caseMark))
			t.Run(filepath.Base(file)+"/"+name, func(t *testing.T) {
				config, err := Parse("werf.yaml", []byte(text))
				if err == nil {
					t.Fatalf("no error, but %+v", config)
				}
				if config != nil {
					t.Error("a config beside an error")
				}
				if !diag.Is(err) {
					t.Errorf("%v is not the user's mistake", err)
				}
				got := err.Error() + "\n\n"
				updated.WriteString(caseMark + name + "\n" + text + wantMark + got)
				if strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") && !*update {
					t.Errorf("%s\ngot:\n%swant:\n%s", text, got, want)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(updated.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What a golden file cannot hold, or not visibly.
func TestParseWrongBytes(t *testing.T) {
	const head = "project: p\nconfigVersion: 1\n---\n"
	tests := []struct{ name, text, want string }{
		{"not UTF-8", "project: p\n# caf\xe9\nconfigVersion: 1\n",
			"werf.yaml:2:6: this is not UTF-8 text\n  2 | # caf\uFFFD\n    |      ^\n  save the file as UTF-8"},
		{"UTF-16", "\xff\xfep\x00r\x00",
			"werf.yaml:1:1: this is not UTF-8 text\n  1 | \uFFFDp\uFFFDr\uFFFD\n    | ^\n  save the file as UTF-8"},
		{"control character", head + "image: a\ndockerfile: D\x01\n",
			"werf.yaml:5:14: this is not YAML: control characters are not allowed\n" +
				"  5 | dockerfile: D\uFFFD\n    |              ^"},
		{"CR LF", strings.ReplaceAll(head+"image: a\ndockerfile: D\nstagd: true\n", "\n", "\r\n"),
			"werf.yaml:6:1: unknown key \"stagd\"\n  6 | stagd: true\n    | ^\n  did you mean \"staged\"?"},
		{"CR LF and a syntax error", strings.ReplaceAll(head+"image: a\ndockerfile: @\n", "\n", "\r\n"),
			"werf.yaml:5:13: this is not YAML: found character that cannot start any token\n" +
				"  5 | dockerfile: @\n    |             ^\n  put the value in quotes"},
		{"byte order mark", "\uFEFFprojec: p\nconfigVersion: 1\n",
			"werf.yaml:1:1: unknown key \"projec\"\n  1 | projec: p\n    | ^\n  did you mean \"project\"?"},
		{"no line end", head + "image: a\ndockerfile: /D",
			"werf.yaml:5:13: \"dockerfile\" must be relative to context, found the absolute path \"/D\"\n" +
				"  5 | dockerfile: /D\n    |             ^"},
		{"tab before a value", head + "image:\ta\ndockerfile:\t/D\n",
			"werf.yaml:5:13: \"dockerfile\" must be relative to context, found the absolute path \"/D\"\n" +
				"  5 | dockerfile:\t/D\n    |            \t^"},
		{"blank after the hyphens", "project: p\nconfigVersion: 1\n--- \t\r\nimage: a\ndockerfile: D\nx: y\n",
			"werf.yaml:6:1: unknown key \"x\"\n  6 | x: y\n    | ^\n  what works in an image's section is image, " +
				"dockerfile, context, contextAddFiles, contextAddFile, target, args, addHost, network, ssh, secrets, " +
				"dependencies, staged, platform, final, cacheVersion, imageSpec"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("werf.yaml", []byte(test.text))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}
