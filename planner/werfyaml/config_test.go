package werfyaml

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"slipway/planner/diag"
)

const head = "project: p\nconfigVersion: 1\n"

// app is what "image: app, dockerfile: Dockerfile" means.
func app(edit func(*Image)) []Image {
	i := Image{Name: "app", Dockerfile: "Dockerfile", Context: ".", Final: true}
	if edit != nil {
		edit(&i)
	}
	return []Image{i}
}

// metaOf is what the smallest section of a project means.
func metaOf(edit func(*Meta)) Meta {
	m := defaultMeta()
	m.Project = "p"
	if edit != nil {
		edit(&m)
	}
	return m
}

// mustParse is the config of a text that is right, without positions.
func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	config, err := Parse("werf.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	config.Meta.positions = positions{}
	for i := range config.Images {
		config.Images[i].positions = positions{}
	}
	return config
}

func TestParse(t *testing.T) {
	const appText = "image: app\ndockerfile: Dockerfile\n"
	meta := metaOf(nil)
	tests := []struct {
		name, text string
		meta       Meta
		images     []Image
	}{
		{"the whole example", "# werf.yaml\n" + head + "---\n" + appText, meta, app(nil)},
		{"no image", head, meta, nil},
		{"meta last", appText + "---\n" + head, meta, app(nil)},
		{"leading and trailing hyphens", "---\n" + head + "---\n" + appText + "---", meta, app(nil)},
		{"empty sections", head + "---\n\n---\n---\n# only a comment\n--- \n~\n---\n" + appText + "---\n", meta, app(nil)},
		{"blanks and tabs after the hyphens", head + "--- \t\n" + appText + "---  # next\n", meta, app(nil)},
		{"CR LF", strings.ReplaceAll(head+"---\n"+appText, "\n", "\r\n"), meta, app(nil)},
		{"no line end at the end", head + "---\nimage: app\ndockerfile: Dockerfile", meta, app(nil)},
		{"byte order mark", "\uFEFF" + head + "---\n" + appText, meta, app(nil)},
		{"Cyrillic comments, blanks at line ends", "# проект\nproject: p  \nconfigVersion: 1 # версия\t\n---\n# образ\n" + appText, meta, app(nil)},
		{"tabs where YAML has them", "project:\tp\nconfigVersion: 1\t# x\n---\n" + appText, meta, app(nil)},
		{"hyphens inside text", head + "---\n" + appText + "target: |-\n  ---\nargs: {A: --- x}\n", meta,
			app(func(i *Image) { i.Target, i.Args = "---", map[string]string{"A": "--- x"} })},
		{"three dots", head + "...\n---\n" + appText + "...\n", meta, app(nil)},
		{"flow style", "{project: p, configVersion: 1}\n--- {image: app, dockerfile: Dockerfile}\n", meta, app(nil)},
		{"the chart", "configVersion: 1\nproject: my-project-2\ndeploy:\n  helmChartDir: ./deploy/chart/\n" +
			"  helmChartConfig:\n    appVersion: 1.10\n",
			metaOf(func(m *Meta) { m.Project, m.ChartDir, m.AppVersion = "my-project-2", "deploy/chart", "1.10" }), nil},
		{"keys of meta without values", head + "deploy:\n", meta, nil},
		{"deeper keys of meta without values", head + "deploy: {helmChartDir: , helmChartConfig: }\n", meta, nil},
		{"number as project", "configVersion: 1\nproject: 2048\n", metaOf(func(m *Meta) { m.Project = "2048" }), nil},
		{"longest project", "configVersion: 1\nproject: " + strings.Repeat("a", 50) + "\n",
			metaOf(func(m *Meta) { m.Project = strings.Repeat("a", 50) }), nil},
		{"files of an image", head + "---\ntarget: prod\nfinal: false\nargs:\n  B: b\n  A: a\n" +
			"contextAddFiles:\n- ./b/\n- a\ncontext: ./src/\ndockerfile: ../docker/Dockerfile_app\nimage: group/app.x-1_2\n", meta,
			[]Image{{
				Name: "group/app.x-1_2", Dockerfile: "../docker/Dockerfile_app", Context: "src",
				ContextAddFiles: []string{"b", "a"}, Target: "prod", Args: map[string]string{"A": "a", "B": "b"},
			}}},
		{"keys of an image without values", head + "---\n" + appText + "context:\ncontextAddFiles:\ntarget: ~\nargs:\nfinal:\n",
			meta, app(nil)},
		{"empty context", head + "---\n" + appText + "context: ''\n", meta, app(nil)},
		{"context of the project itself", head + "---\n" + appText + "context: ./\n", meta, app(nil)},
		{"context by a detour", head + "---\n" + appText + "context: a/../b\n", meta, app(func(i *Image) { i.Context = "b" })},
		{"dockerfile beside the context", head + "---\nimage: app\ndockerfile: ../Dockerfile\ncontext: src\n", meta,
			app(func(i *Image) { i.Dockerfile, i.Context = "../Dockerfile", "src" })},
		{"names of Dockerfiles", head + dockerfiles("./Dockerfile", "docker/Dockerfile_app", ".docker/Dockerfile", "runner.DOCKERFILE"),
			meta, []Image{
				{Name: "i0", Dockerfile: "Dockerfile", Context: ".", Final: true},
				{Name: "i1", Dockerfile: "docker/Dockerfile_app", Context: ".", Final: true},
				{Name: "i2", Dockerfile: ".docker/Dockerfile", Context: ".", Final: true},
				{Name: "i3", Dockerfile: "runner.DOCKERFILE", Context: ".", Final: true},
			}},
		{"one added file", head + "---\n" + appText + "contextAddFiles: dist/app.tar\n", meta,
			app(func(i *Image) { i.ContextAddFiles = []string{"dist/app.tar"} })},
		{"old spelling", head + "---\n" + appText + "contextAddFile: [a, 1]\n", meta,
			app(func(i *Image) { i.ContextAddFiles = []string{"a", "1"} })},
		{"empty list of added files", head + "---\n" + appText + "contextAddFiles: []\n", meta, app(nil)},
		{"numbers and words as text", head + "---\nimage: 1.10\ndockerfile: on\ntarget: 007\n", meta,
			[]Image{{Name: "1.10", Dockerfile: "on", Context: ".", Target: "007", Final: true}}},
		{"date as text", head + "---\nimage: 2026-11-23\ndockerfile: Dockerfile\n", meta,
			app(func(i *Image) { i.Name = "2026-11-23" })},
		{"final in other words", head + "---\n" + appText + "final: No\n", meta, app(func(i *Image) { i.Final = false })},
		{"anchors and aliases", head + "---\nimage: &name app\ndockerfile: Dockerfile\ntarget: *name\n" +
			"contextAddFiles: [&f a, *f]\nargs: {A: *name, *name : x}\n", meta,
			app(func(i *Image) {
				i.Target, i.ContextAddFiles = "app", []string{"a", "a"}
				i.Args = map[string]string{"A": "app", "app": "x"}
			})},
		{"merge, nearer wins", head + "---\n" + appText + "args:\n  A: own\n  <<:\n  - {A: first, B: first}\n" +
			"  - {B: second, C: second, <<: {C: deep, D: deep}}\n", meta,
			app(func(i *Image) {
				i.Args = map[string]string{"A": "own", "B": "first", "C": "second", "D": "deep"}
			})},
		{"merge of itself", head + "---\n" + appText + "args: &a {<<: [*a, *a], A: x}\n", meta,
			app(func(i *Image) { i.Args = map[string]string{"A": "x"} })},
		{"quoted << is a name", head + "---\n" + appText + "args: {'<<': x}\n", meta,
			app(func(i *Image) { i.Args = map[string]string{"<<": "x"} })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := mustParse(t, test.text)
			want := &Config{File: "werf.yaml", Meta: test.meta, Images: test.images}
			if !reflect.DeepEqual(config, want) {
				t.Errorf("%s\ngot  %+v\nwant %+v", test.text, config, want)
			}
		})
	}
}

func dockerfiles(names ...string) string {
	var b strings.Builder
	for i, name := range names {
		fmt.Fprintf(&b, "---\nimage: i%d\ndockerfile: %s\n", i, name)
	}
	return b.String()
}

// The text of an argument is what a YAML 1.1 parser and Go's %v make of it.
func TestArgumentText(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{"text", "text"},
		{"''", ""},
		{"true", "true"}, {"yes", "true"}, {"On", "true"}, {"y", "true"},
		{"FALSE", "false"}, {"no", "false"}, {"off", "false"}, {"N", "false"},
		{"'yes'", "yes"}, {"!!str yes", "yes"}, {`"true"`, "true"}, {"!!bool true", "true"},
		{"1", "1"}, {"-1", "-1"}, {"+1", "1"}, {"0x10", "16"}, {"010", "8"}, {"0o10", "8"}, {"0b11", "3"}, {"1_000", "1000"},
		{"18446744073709551615", "18446744073709551615"},
		{"1.50", "1.5"}, {"'1.50'", "1.50"}, {"1e3", "1000"}, {"1e21", "1e+21"}, {".5", "0.5"}, {".inf", "+Inf"}, {".NaN", "NaN"},
		{"1.2.3", "1.2.3"}, {"12:30", "12:30"},
		{"2026-11-23", "2026-11-23"}, {"2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"},
		{"<<", "<<"},
		{"$FOO", "$FOO"},
		{"|\n    a\n    b", "a\nb\n"},
		{">-\n    a\n    b", "a b"},
	}
	for _, test := range tests {
		config, err := Parse("werf.yaml", []byte(head+"---\nimage: a\ndockerfile: D\nargs:\n  A: "+test.yaml+"\n"))
		if err != nil {
			t.Errorf("%s: %v", test.yaml, err)
			continue
		}
		if got := config.Images[0].Args["A"]; got != test.want {
			t.Errorf("%s is the text %q, want %q", test.yaml, got, test.want)
		}
	}
}

// Positions are those of the file, in whichever section.
func TestAt(t *testing.T) {
	config, err := Parse("werf.yaml", []byte("# проект\nproject: p\nconfigVersion: 1\ndeploy:\n  helmChartDir: chart\n"+
		"---\n\n# образ\nimage: app\ndockerfile: Dockerfile\nargs:\n  A: &x имя\n  B: *x\ncontextAddFile: [./a/]\n"+
		"---\ndockerfile: D\nimage: b\n"))
	if err != nil {
		t.Fatal(err)
	}
	app, b := config.Images[0], config.Images[1]
	tests := []struct {
		of   interface{ At(string) diag.Pos }
		key  string
		want string
	}{
		{config.Meta, "project", "2:10"},
		{config.Meta, "deploy.helmChartDir", "5:17"},
		{config.Meta, "cleanup", "2:1"},
		{app, "image", "9:8"},
		{app, "dockerfile", "10:13"},
		{app, "args.A", "12:6"},
		{app, "args.B", "13:6"},
		{app, "contextAddFile", "14:17"},
		{app, "contextAddFiles.a", "14:18"},
		{app, "target", "9:1"},
		{b, "image", "17:8"},
		{b, "target", "16:1"},
	}
	for _, test := range tests {
		pos := test.of.At(test.key)
		if got := fmt.Sprintf("%d:%d", pos.Line, pos.Column); got != test.want {
			t.Errorf("At(%q) = %s, want %s", test.key, got, test.want)
		}
	}
	want := "werf.yaml:10:13: no such file\n  10 | dockerfile: Dockerfile\n     |             ^"
	if got := app.At("dockerfile").Errorf("no such file").Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// hostile are texts that are small to write and could be long to read.
func hostile() map[string]string {
	bomb := head + "a0: &a0 {x: 1}\n"
	for i := 1; i < 100; i++ {
		bomb += fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10))
	}
	chain := head
	for i := range 3000 {
		chain += fmt.Sprintf("---\nimage: i%d\ndockerfile: D\ndependencies: [{from: i%d}]\n", i, (i+1)%3000)
	}
	secret := head + "---\nimage: a\ndockerfile: D\nsecrets: &s\n- value: &v {a: *s, value: *v}\n"
	return map[string]string{
		"a long circle":          chain,
		"secrets in themselves":  secret,
		"a huge expression":      head + "cleanup: {keepPolicies: [{references: {tag: '/" + strings.Repeat("(a{1000}){1000}", 10) + "/'}}]}",
		"merges that multiply":   bomb + "deploy: {<<: *a99}\n",
		"aliases that multiply":  head + "a: &a [x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\ndeploy: *c\n",
		"deep lists":             head + "deploy: " + strings.Repeat("[", 200_000),
		"deep mappings":          head + "deploy: " + strings.Repeat("{a: ", 50_000),
		"deep blocks":            head + "deploy:\n  " + strings.Repeat("- ", 50_000),
		"long quote":             head + "deploy: \"" + strings.Repeat("a\n", 50_000),
		"many keys and a tab":    head + strings.Repeat("a: b\n", 5_000) + "\tx: y",
		"many empty sections":    head + strings.Repeat("---\n", 20_000) + "x",
		"many question marks":    head + strings.Repeat("?", 50_000),
		"many unfinished keys":   head + strings.Repeat("a\n", 50_000),
		"carriage returns alone": head + strings.Repeat("\r", 50_000) + "]",
		"a mapping in itself":    head + "deploy: &a {helmChartConfig: *a, <<: *a}\n",
	}
}

// These must end, and with an error: that they end soon is what the test's time
// limit says.
func TestHostile(t *testing.T) {
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("werf.yaml", []byte(text)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "---\nimage: app\ndockerfile: D\nargs: &a {A: 1, <<: *a}\ncontextAddFiles: [a]\nfinal: no\n"))
	f.Add([]byte("---\r\n# имя\r\nproject: p\r\n--- \r\nimage: ~\r\n...\r\n"))
	f.Add([]byte(head + "build: {platform: [linux/amd64], imageSpec: {author: me, config: {labels: {a: '%image%'}}}}\n" +
		"cleanup: {keepPolicies: [{references: {tag: /v.*/, limit: {in: 1h}}}]}\n---\nimage: [a, b]\ndockerfile: D\n" +
		"dependencies: [{from: c, imports: [{type: ImageID, targetBuildArg: C}]}]\nsecrets: [{id: x, value: |-\n y}]\n" +
		"---\nimage: c\nfrom: alpine\n"))
	f.Add([]byte(head + "---\nimage: ~\ndockerfile: D\nsecrets:\n- id: x\n  value: \"a\n   b\"\naddHost: a:::1\nimageSpec:\n" +
		"  config: {expose: [80], healthcheck: {test: [CMD], interval: 5, timeout: 1s}, removeEnv: [/A/]}\n"))
	f.Add([]byte("a: [b\n\tc: 'd\n? - *x : !!int y"))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer time.AfterFunc(20*time.Second, func() { panic("it hangs") }).Stop()
		if len(text) > 10_000 {
			return
		}
		config, err := Parse("werf.yaml", text)
		if (config == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", config, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		chosen, err := config.Select(nil, SelectOptions{})
		if err == nil && len(config.Closure(chosen)) != len(config.Images) {
			t.Fatal("all images do not close over all images")
		}
	})
}
