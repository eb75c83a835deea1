package werfyaml

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What a project's section means that says nothing.
func TestMetaDefaults(t *testing.T) {
	got := mustParse(t, "project: p\nconfigVersion: 1\nbuild:\ndeploy:\ncleanup: {keepPolicies: []}\ngitWorktree: {}\n").Meta
	re := func(text string) Pattern {
		p, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := Meta{
		Project:  "p",
		ChartDir: ".helm",
		Deploy: Deploy{
			HelmRelease: "[[ project ]]-[[ env ]]", HelmReleaseSlug: true,
			Namespace: "[[ project ]]-[[ env ]]", NamespaceSlug: true,
		},
		Cleanup: Cleanup{
			KeepImagesBuiltWithinLastNHours: 2,
			KeepPolicies: []KeepPolicy{
				{References{"tag", re("/.*/"), Limit{10, 0, "And"}}, Limit{1, 0, "And"}},
				{References{"branch", re("/.*/"), Limit{10, 168 * time.Hour, "And"}}, Limit{2, 168 * time.Hour, "And"}},
				{References{"branch", re("/main|master|staging|production/"), Limit{-1, 0, "And"}}, Limit{2, 0, "And"}},
			},
		},
		GitWorktree: GitWorktree{AllowUnshallow: true, AllowFetchOriginBranchesAndTags: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMeta(t *testing.T) {
	tests := []struct {
		name, text string
		edit       func(*Meta)
	}{
		{"build", "build: {cacheVersion: 2, platform: [linux/arm64/v8, linux/amd64, linux/arm64], staged: true}", func(m *Meta) {
			m.Build.CacheVersion, m.Build.Platforms = "2", []string{"linux/arm64", "linux/amd64"}
		}},
		{"staged changes nothing", "build: {staged: false}", func(*Meta) {}},
		{"build.imageSpec", "build: {imageSpec: {author: me, clearHistory: yes, config: {keepEssentialWerfLabels: true, " +
			"clearWerfLabels: true, labels: {a: 1, b: on}, removeLabels: [c, /d/]}}}", func(m *Meta) {
			c, _ := ParsePattern("c")
			d, _ := ParsePattern("/d/")
			m.Build.ImageSpec = ImageSpec{
				Author: "me", ClearHistory: true, KeepEssentialWerfLabels: true, ClearWerfLabels: true,
				Labels: map[string]string{"a": "1", "b": "on"}, RemoveLabels: []Pattern{c, d},
			}
		}},
		{"release", "deploy: {helmRelease: 'a-[[ env ]]', helmReleaseSlug: false, namespace: '[[ project | trunc 5 ]]', namespaceSlug: no}",
			func(m *Meta) {
				m.Deploy = Deploy{HelmRelease: "a-[[ env ]]", Namespace: "[[ project | trunc 5 ]]"}
			}},
		{"release folded", "deploy:\n  namespace: >-\n    [[ project ]]-\n    [[ env ]]\n  helmRelease: app-[[ env ]]", func(m *Meta) {
			m.Deploy.Namespace, m.Deploy.HelmRelease = "[[ project ]]- [[ env ]]", "app-[[ env ]]"
		}},
		{"cleanup", "cleanup: {disable: true, disableKubernetesBasedPolicy: true, disableGitHistoryBasedPolicy: true, " +
			"disableBuiltWithinLastNHoursPolicy: true, keepImagesBuiltWithinLastNHours: 0}", func(m *Meta) {
			m.Cleanup = Cleanup{true, true, true, true, 0, DefaultKeepPolicies()}
		}},
		{"gitWorktree", "gitWorktree: {forceShallowClone: true, allowUnshallow: false, allowFetchOriginBranchesAndTags: false}",
			func(m *Meta) { m.GitWorktree = GitWorktree{ForceShallowClone: true} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mustParse(t, head+test.text+"\n").Meta
			if want := metaOf(test.edit); !reflect.DeepEqual(got, want) {
				t.Errorf("%s\ngot  %+v\nwant %+v", test.text, got, want)
			}
		})
	}
}

func TestKeepPolicies(t *testing.T) {
	all, one := Limit{-1, 0, And}, Limit{1, 0, And}
	tests := []struct {
		yaml       string
		kind       ReferenceKind
		name       string
		references Limit
		images     Limit
	}{
		{"{references: {tag: v1.0}}", Tag, "v1.0", all, one},
		{"{references: {tag: 1.10}}", Tag, "1.10", all, one},
		{"{references: {branch: /feat-.+/, limit: }, imagesPerReference: }", Branch, "/feat-.+/", all, one},
		{"{references: {branch: main, limit: {last: 5, in: 36h30m, operator: Or}}}", Branch, "main",
			Limit{5, 36*time.Hour + 30*time.Minute, Or}, one},
		{"{references: {branch: main, limit: {in: 168h}}}", Branch, "main", Limit{-1, 168 * time.Hour, And}, one},
		{"{references: {branch: main}, imagesPerReference: {last: 3, in: 1h}}", Branch, "main", all, Limit{3, time.Hour, And}},
		{"{references: {branch: main}, imagesPerReference: {last: -1}}", Branch, "main", all, all},
		{"{references: {branch: main}, imagesPerReference: {operator: Or}}", Branch, "main", all, Limit{1, 0, Or}},
		// An age alone is not narrowed to one image.
		{"{references: {branch: main}, imagesPerReference: {in: 1h}}", Branch, "main", all, Limit{-1, time.Hour, And}},
	}
	for _, test := range tests {
		policies := mustParse(t, head+"cleanup: {keepPolicies: ["+test.yaml+"]}\n").Meta.Cleanup.KeepPolicies
		if len(policies) != 1 {
			t.Fatalf("%s: %d policies", test.yaml, len(policies))
		}
		p := policies[0]
		if p.References.Kind != test.kind || p.References.Name.String() != test.name ||
			p.References.Limit != test.references || p.ImagesPerReference != test.images {
			t.Errorf("%s: got %+v", test.yaml, p)
		}
	}
}

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{"main", []string{"main"}, []string{"main2", "Main", ""}},
		{"v1.0", []string{"v1.0"}, []string{"v1x0"}},
		{"/v.+/", []string{"v1", "v2.0"}, []string{"v", "av1"}},
		{"/a|b/", []string{"a", "b"}, []string{"ac", "cb", "ab"}},
		{"/^(main|master)$/", []string{"main", "master"}, []string{"mainmaster"}},
		{"//", []string{""}, []string{"a", "//"}},
		{"/", []string{"/"}, []string{""}},
		{"/a", []string{"/a"}, []string{"a"}},
	}
	for _, test := range tests {
		p, err := ParsePattern(test.pattern)
		if err != nil || p.String() != test.pattern {
			t.Fatalf("%s: %v, %v", test.pattern, p, err)
		}
		for _, s := range test.yes {
			if !p.Match(s) {
				t.Errorf("%s does not match %q", test.pattern, s)
			}
		}
		for _, s := range test.no {
			if p.Match(s) {
				t.Errorf("%s matches %q", test.pattern, s)
			}
		}
	}
	for _, pattern := range []string{"/(/", "/a)|(b/", "/a{2000}/"} {
		if _, err := ParsePattern(pattern); err == nil {
			t.Errorf("%s is accepted", pattern)
		}
	}
}

// One key of an image's section at a time, and what it means.
func TestImageKeys(t *testing.T) {
	tests := []struct {
		name, text string
		edit       func(*Image)
	}{
		{"addHost", "addHost: registry.local:10.0.0.1", func(i *Image) { i.AddHost = []string{"registry.local:10.0.0.1"} }},
		{"addHost list", "addHost: [a:10.0.0.1, 'b:::1', 'c:[2001:db8::1]']", func(i *Image) {
			i.AddHost = []string{"a:10.0.0.1", "b:::1", "c:[2001:db8::1]"}
		}},
		{"network", "network: host", func(i *Image) { i.Network = "host" }},
		{"ssh", "ssh: default", func(i *Image) { i.SSH = "default" }},
		{"staged", "staged: true", nil},
		{"not staged", "staged: no", nil},
		{"cacheVersion", "cacheVersion: 7", func(i *Image) { i.CacheVersion = "7" }},
		{"platform", "platform: [linux/arm/v7, linux/x86_64, linux/amd64, windows/amd64]", func(i *Image) {
			i.Platforms = []string{"linux/arm/v7", "linux/amd64", "windows/amd64"}
		}},
		{"no platforms", "platform: []", nil},
		{"secrets", "secrets:\n- env: TOKEN\n- {id: other, env: TOKEN}\n- src: ~/.npmrc\n- {id: key, src: /etc/key}\n- {id: v, value: s3}",
			func(i *Image) {
				i.Secrets = []Secret{
					{ID: "TOKEN", Env: "TOKEN"}, {ID: "other", Env: "TOKEN"}, {ID: ".npmrc", Src: "~/.npmrc"},
					{ID: "key", Src: "/etc/key"}, {ID: "v", Value: "s3"},
				}
			}},
		{"keys without values", "addHost:\nnetwork:\nssh:\nsecrets:\ndependencies:\nstaged:\nplatform:\ncacheVersion:\nimageSpec:", nil},
		{"empty lists", "addHost: []\nsecrets: []\ndependencies: []\nimageSpec: {config: {}}", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := mustParse(t, head+"---\nimage: app\ndockerfile: Dockerfile\n"+test.text+"\n").Images
			if want := app(test.edit); !reflect.DeepEqual(got, want) {
				t.Errorf("%s\ngot  %+v\nwant %+v", test.text, got, want)
			}
		})
	}
}

// Of a list, each name is an image of its own, with its own position.
func TestImageNames(t *testing.T) {
	config, err := Parse("werf.yaml", []byte(head+"---\nimage: [a, group/b]\ndockerfile: D\nfinal: false\n---\nimage: ~\ndockerfile: E\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a D 4:9", "group/b D 4:12", " E 8:1"}
	for n, i := range config.Images {
		pos := i.At("image")
		if n == 2 { // nothing is written, or a tilde
			pos = i.At("")
		}
		if got := fmt.Sprintf("%s %s %d:%d", i.Name, i.Dockerfile, pos.Line, pos.Column); got != want[n] {
			t.Errorf("got %q, want %q", got, want[n])
		}
	}
	if config.Images[1].Final || len(config.Images) != 3 {
		t.Errorf("got %+v", config.Images)
	}
	for _, name := range []string{"", "~", "''"} {
		images := mustParse(t, head+"---\nimage: "+name+"\ndockerfile: D\n").Images
		if len(images) != 1 || images[0].Name != "" || !images[0].Final {
			t.Errorf("image: %s is %+v", name, images)
		}
	}
}

// The project's section may stand after the images that have its defaults.
func TestBuildDefaults(t *testing.T) {
	const images = "---\nimage: own\ndockerfile: D\ncacheVersion: mine\nplatform: [linux/arm64]\n" +
		"---\nimage: other\ndockerfile: D\ncacheVersion: ''\n"
	const meta = "---\nproject: p\nconfigVersion: 1\nbuild: {cacheVersion: all, platform: [linux/amd64]}\n"
	for _, text := range []string{images + meta, meta + images} {
		got := mustParse(t, text).Images
		want := []Image{
			{Name: "own", Dockerfile: "D", Context: ".", Final: true, CacheVersion: "mine", Platforms: []string{"linux/arm64"}},
			{Name: "other", Dockerfile: "D", Context: ".", Final: true, CacheVersion: "all", Platforms: []string{"linux/amd64"}},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestDependencies(t *testing.T) {
	config, err := Parse("werf.yaml", []byte(head+"---\nimage: app\ndockerfile: D\ndependencies:\n- image: base\n  imports:\n"+
		"  - {type: ImageName, targetBuildArg: NAME}\n  - {type: ImageTag, targetBuildArg: TAG}\n"+
		"  - {type: ImageRepo, targetBuildArg: REPO}\n- from: group/tools\n  imports:\n"+
		"  - {type: ImageID, targetBuildArg: ID}\n  - {type: ImageDigest, targetBuildArg: DIGEST}\n- from: base\n"+
		"---\nimage: base\ndockerfile: D\n---\nimage: group/tools\ndockerfile: D\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Dependency{
		{"base", []Import{{ImageName, "NAME"}, {ImageTag, "TAG"}, {ImageRepo, "REPO"}}},
		{"group/tools", []Import{{ImageID, "ID"}, {ImageDigest, "DIGEST"}}},
		{"base", nil},
	}
	app := config.Images[0]
	if !reflect.DeepEqual(app.Dependencies, want) {
		t.Errorf("got  %+v\nwant %+v", app.Dependencies, want)
	}
	for key, want := range map[string]int{
		"dependencies[0]": 7, "dependencies[1]": 12, "dependencies[2]": 16,
		"dependencies[1].imports[1].targetBuildArg": 15,
	} {
		if got := app.At(key).Line; got != want {
			t.Errorf("%s is on line %d, want %d", key, got, want)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	config := mustParse(t, head+"---\nimage: a\ndockerfile: D\nsecrets: [{id: token, value: s3cret}, {env: E}, {src: f}]\n")
	secrets := config.Images[0].Secrets
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, secrets); strings.Contains(got, "s3cret") || !strings.Contains(got, "token from value") {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if got := fmt.Sprint(secrets[1:]); got != "[E from env E f from src f]" {
		t.Errorf("got %s", got)
	}
}

// However a value is written, no diagnostic of the file shows it.
func TestSecretIsNotShown(t *testing.T) {
	const mark = "s3cret"
	for name, secrets := range map[string]string{
		"one line":       "secrets: [{id: x, value: s3cret, y: z}]",
		"plain":          "secrets:\n- id: x\n  value: s3cret\n  y: z",
		"several lines":  "secrets:\n- value: one\n    s3cret\n  y: z",
		"literal":        "secrets:\n- value: |\n    one\n    s3cret\n  y: z",
		"quoted, folded": "secrets:\n- {value: \"one\n    s3cret\", y: z}",
		"escaped":        "secrets:\n- {value: \"\\x73\n    s3cret\", y: z}",
		"aliased":        "target: &s s3cret\nsecrets:\n- value: *s\n  y: z",
		"merged":         "args: &m {value: s3cret, x: y, x: z}\nsecrets:\n- <<: *m\n  y: z",
		"wrong":          "secrets:\n- value: [s3cret, {a: s3cret}]\n  y: z",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("werf.yaml", []byte(head+"---\nimage: app\ndockerfile: D\n"+secrets+"\nsecret: s3cre\n"))
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), mark) {
				t.Errorf("shown:\n%v", err)
			}
			if !strings.Contains(err.Error(), "secret: s3cre\n") {
				t.Errorf("another line is not shown:\n%v", err)
			}
		})
	}
}
