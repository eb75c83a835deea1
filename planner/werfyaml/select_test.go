package werfyaml

import (
	"strings"
	"testing"

	"slipway/planner/diag"
)

const selectable = head + `---
image: app-web
dockerfile: D
dependencies: [{from: base}]
---
image: [app-api, group/tool]
dockerfile: D
dependencies: [{from: group/lib}, {from: base}]
---
image: base
dockerfile: D
final: false
---
image: group/lib
dockerfile: D
final: false
dependencies: [{from: base}]
`

func namesOf(images []Image) string {
	var names []string
	for _, i := range images {
		names = append(names, display(i.Name))
	}
	return strings.Join(names, " ")
}

func TestSelect(t *testing.T) {
	config := mustParse(t, selectable)
	tests := []struct {
		patterns string
		final    bool
		want     string
	}{
		{"", false, "app-web app-api group/tool base group/lib"},
		{"", true, "app-web app-api group/tool"},
		{"base app-web", false, "app-web base"},
		{"app-*", false, "app-web app-api"},
		{"*", false, "app-web app-api base"},
		{"*/*", false, "group/tool group/lib"},
		{"group/*", true, "group/tool"},
		{"app-[a-v]?i bas[^x]", false, "app-api base"},
		{"!app-*", false, "group/tool base group/lib"},
		{"!*/* !base", true, "app-web app-api"},
		{"* !app-*", false, "base"},
		{"!app-* app-*", false, ""},
		{"app-web !app-*", false, "app-web"}, // named literally
		{"app-* !app-web app-web", false, "app-web app-api"},
		{"!nothing app-web", false, "app-web"},
		{"app-web app-web", false, "app-web"},
	}
	for _, test := range tests {
		got, err := config.Select(strings.Fields(test.patterns), SelectOptions{FinalOnly: test.final})
		if err != nil {
			t.Errorf("%q: %v", test.patterns, err)
		} else if namesOf(got) != test.want {
			t.Errorf("%q, final only %v: got %s, want %s", test.patterns, test.final, namesOf(got), test.want)
		}
	}
	nameless := mustParse(t, head+"---\nimage: ~\ndockerfile: D\n---\nimage: base\ndockerfile: D\nfinal: false\n")
	for patterns, want := range map[string]string{"~": "~", "*": "~ base", "!~": "base", "": "~ base"} {
		if got, err := nameless.Select(strings.Fields(patterns), SelectOptions{}); err != nil || namesOf(got) != want {
			t.Errorf("%q: got %s, %v, want %s", patterns, namesOf(got), err, want)
		}
	}
	if got, err := mustParse(t, head).Select(nil, SelectOptions{}); err != nil || len(got) != 0 {
		t.Errorf("of no images: %v, %v", got, err)
	}
}

func TestSelectWrong(t *testing.T) {
	const advice = "\n  write a name, or a pattern with *, ? and [a-z] that match no slash; ! before it excludes"
	tests := []struct {
		patterns []string
		final    bool
		want     string
	}{
		{[]string{"app-wbe"}, false, "no image \"app-wbe\" in werf.yaml\n  did you mean \"app-web\"?"},
		{[]string{"x", "y*", "base"}, false, "no image \"x\" in werf.yaml\n  it has: app-web, app-api, group/tool, base, group/lib\n" +
			"no image \"y*\" in werf.yaml\n  it has: app-web, app-api, group/tool, base, group/lib"},
		{[]string{"base"}, true, "image \"base\" in werf.yaml is not final, and only final images are wanted\n  remove its final: false to have it here"},
		{[]string{"~"}, false, "no image \"~\" in werf.yaml\n  it has: app-web, app-api, group/tool, base, group/lib"},
		{[]string{""}, false, `image "" is empty` + advice},
		{[]string{"!"}, false, `image "!" is empty` + advice},
		{[]string{"group/**"}, false, `image "group/**" has **, which is not supported` + advice},
		{[]string{"!**"}, false, `image "!**" has **, which is not supported` + advice},
		{[]string{"a&b"}, false, `image "a&b" has one of & | $, which no name has` + advice},
		{[]string{"a|b"}, false, `image "a|b" has one of & | $, which no name has` + advice},
		{[]string{"$A"}, false, `image "$A" has one of & | $, which no name has` + advice},
		{[]string{"[a"}, false, `image "[a" is not a pattern` + advice},
		{[]string{strings.Repeat("я", 101)}, false, `image "` + strings.Repeat("я", 100) + `" is longer than 100 characters` + advice},
	}
	for _, test := range tests {
		_, err := mustParse(t, selectable).Select(test.patterns, SelectOptions{FinalOnly: test.final})
		if err == nil {
			t.Errorf("%q: no error", test.patterns)
			continue
		}
		if err.Error() != test.want || !diag.Is(err) {
			t.Errorf("%q: got:\n%v\nwant:\n%s", test.patterns, err, test.want)
		}
	}
	long := strings.Repeat("a", 100)
	if _, err := mustParse(t, head+"---\nimage: "+long+"\ndockerfile: D\n").Select([]string{long}, SelectOptions{}); err != nil {
		t.Errorf("100 characters: %v", err)
	}
}

func TestClosure(t *testing.T) {
	config := mustParse(t, selectable)
	for patterns, want := range map[string]string{
		"":               "base app-web group/lib app-api group/tool",
		"app-web":        "base app-web",
		"app-api":        "base group/lib app-api",
		"group/* !*/lib": "base group/lib group/tool",
		"base":           "base",
	} {
		selected, err := config.Select(strings.Fields(patterns), SelectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := namesOf(config.Closure(selected)); got != want {
			t.Errorf("%q: got %s, want %s", patterns, got, want)
		}
	}
}

const mixed = head + `---
image: app
dockerfile: D
---
image: old
from: alpine
shell: {install: [a], whatever: x}
---
artifact: gen
ansible: {}
---
image: onOld
dockerfile: D
dependencies: [{from: old}]
---
image: onOnOld
dockerfile: D
dependencies: [{from: app}, {from: onOld}]
---
image: [old2, old3]
fromImage: old
final: false
`

// A file with images that cannot be made is valid; a run that needs them is not.
func TestUnsupported(t *testing.T) {
	config, err := Parse("werf.yaml", []byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range config.Unsupported {
		got = append(got, u.Name)
		if u.Final != (u.Name == "old") {
			t.Errorf("%s: final is %v", u.Name, u.Final)
		}
	}
	if strings.Join(got, " ") != "old gen old2 old3" {
		t.Errorf("got %v", got)
	}

	const (
		shell  = "is made by the shell syntax (from: …), which is not supported yet"
		advice = "  images that can be processed: app"
		old    = "werf.yaml:7:8: image \"old\" " + shell + "\n  7 | image: old\n    |        ^\n" + advice
		gen    = "werf.yaml:11:11: image \"gen\" is an artifact, made by the ansible syntax, which is not supported yet\n" +
			"  11 | artifact: gen\n     |           ^\n" + advice
		onOld = "werf.yaml:16:23: image \"onOld\" depends on \"old\", which " + shell + "\n" +
			"  16 | dependencies: [{from: old}]\n     |                       ^\n" + advice
		old2 = "werf.yaml:22:9: image \"old2\" " + shell + "\n  22 | image: [old2, old3]\n     |         ^\n" + advice
		old3 = "werf.yaml:22:15: image \"old3\" " + shell + "\n  22 | image: [old2, old3]\n     |               ^\n" + advice
	)
	tests := []struct {
		patterns string
		final    bool
		want     string // of the images
		err      []string
	}{
		{"app", false, "app", nil},
		{"a*", false, "app", nil},
		{"!old* !gen !on*", false, "app", nil},
		{"old", false, "", []string{old}},
		{"gen", false, "", []string{gen}},
		{"onOnOld app", false, "", []string{onOld}},
		{"", false, "", []string{old, gen, onOld, old2, old3}},
		{"", true, "", []string{old, onOld}},
		{"!on*", true, "", []string{old}},
	}
	for _, test := range tests {
		images, err := config.Select(strings.Fields(test.patterns), SelectOptions{FinalOnly: test.final})
		text := ""
		if err != nil {
			text = err.Error()
		}
		if want := strings.Join(test.err, "\n"); text != want || namesOf(images) != test.want {
			t.Errorf("%q: got %s and\n%s\nwant %s and\n%s", test.patterns, namesOf(images), text, test.want, want)
		}
	}

	images, unsupported, err := config.Match([]string{"o*"}, SelectOptions{})
	if err != nil || namesOf(images) != "onOld onOnOld" || len(unsupported) != 3 {
		t.Errorf("got %s, %v, %v", namesOf(images), unsupported, err)
	}
}

func TestUnsupportedOnly(t *testing.T) {
	config := mustParse(t, head+"---\nimage: ~\nfrom: alpine\n")
	_, err := config.Select(nil, SelectOptions{})
	want := "werf.yaml:4:1: image \"~\" is made by the shell syntax (from: …), which is not supported yet\n" +
		"  4 | image: ~\n    | ^\n  write a Dockerfile for it, and dockerfile: with its path here"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// What images without platforms are built for is known to the run only.
func TestCheckPlatforms(t *testing.T) {
	config, err := Parse("werf.yaml", []byte(head+"---\nimage: base\ndockerfile: D\n---\nimage: arm\ndockerfile: D\n"+
		"platform: [linux/arm64]\ndependencies: [{from: base}]\n---\nimage: any\ndockerfile: D\ndependencies: [{from: arm}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		arm = `image "arm" is built for linux/arm64, but "base", which it depends on, only for linux/amd64`
		any = `image "any" is built for linux/amd64, but "arm", which it depends on, only for linux/arm64`
	)
	tests := []struct {
		fallback []string
		want     []string
	}{
		{nil, nil},
		{[]string{"linux/arm64"}, nil},
		{[]string{"linux/amd64"}, []string{arm, any}},
		{[]string{"linux/amd64", "linux/arm64"}, []string{any}},
	}
	for _, test := range tests {
		var got []string
		if err := config.CheckPlatforms(test.fallback); err != nil {
			for _, d := range err.(diag.List) {
				got = append(got, d.Message)
			}
		}
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%v: got %v, want %v", test.fallback, got, test.want)
		}
	}
}

func TestEnumerate(t *testing.T) {
	if got := enumerate(strings.Fields(strings.Repeat("a ", 23))); !strings.HasSuffix(got, "a, a and 3 more") {
		t.Errorf("got %s", got)
	}
}
