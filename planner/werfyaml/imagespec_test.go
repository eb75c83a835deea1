package werfyaml

import (
	"reflect"
	"testing"
	"time"
)

func patternsOf(t *testing.T, texts ...string) []Pattern {
	t.Helper()
	var patterns []Pattern
	for _, text := range texts {
		p, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	return patterns
}

func TestImageSpec(t *testing.T) {
	got := mustParse(t, head+`---
image: group/app
dockerfile: D
imageSpec:
  author: me
  clearHistory: true
  config:
    cmd: [run, '', 1]
    entrypoint: [/bin/sh, -c]
    env: {A: b, PATH: "${PATH}:/app", DEBUG: true, N: 1.10, E: ''}
    expose: [80, 8080/tcp, 53/udp]
    healthcheck: {test: [CMD-SHELL, "curl -f localhost"], interval: 30, timeout: 1m30s, startPeriod: 0, retries: 3}
    labels: {name: '%image%', 'of-%project%': '% project %/%image%: 100%', empty: ''}
    stopSignal: SIGTERM
    user: 1000:1000
    volumes: [/cache]
    workingDir: /app
    removeEnv: [DEBUG, /TEMP_.*/]
    removeLabels: [/io\..*/]
    removeVolumes: [/data, data]
    clearCmd: true
    clearEntrypoint: true
    clearUser: true
    clearWorkingDir: true
    clearWerfLabels: true
    keepEssentialWerfLabels: true
`).Images[0].ImageSpec
	want := &ImageSpec{
		Author: "me", ClearHistory: true,
		Cmd: []string{"run", "", "1"}, Entrypoint: []string{"/bin/sh", "-c"},
		Env:         map[string]string{"A": "b", "PATH": "${PATH}:/app", "DEBUG": "true", "N": "1.10", "E": ""},
		Expose:      []string{"80/tcp", "8080/tcp", "53/udp"},
		Healthcheck: &Healthcheck{[]string{"CMD-SHELL", "curl -f localhost"}, 30 * time.Second, 90 * time.Second, 0, 3},
		Labels:      map[string]string{"name": "group/app", "of-p": "p/group/app: 100%", "empty": ""},
		StopSignal:  "SIGTERM", User: "1000:1000", Volumes: []string{"/cache"}, WorkingDir: "/app",
		RemoveEnv: patternsOf(t, "DEBUG", "/TEMP_.*/"), RemoveLabels: patternsOf(t, `/io\..*/`), RemoveVolumes: []string{"/data", "data"},
		ClearCmd: true, ClearEntrypoint: true, ClearUser: true, ClearWorkingDir: true, ClearWerfLabels: true, KeepEssentialWerfLabels: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestImageSpecValues(t *testing.T) {
	tests := []struct {
		config string
		want   ImageSpec
	}{
		{"cmd: []", ImageSpec{Cmd: []string{}}},
		{"healthcheck: {test: [NONE]}", ImageSpec{Healthcheck: &Healthcheck{Test: []string{"NONE"}}}},
		{"healthcheck: {startperiod: 10}", ImageSpec{Healthcheck: &Healthcheck{StartPeriod: 10 * time.Second}}},
		{"healthcheck: {interval: 0x10, timeout: 500ms}", ImageSpec{Healthcheck: &Healthcheck{Interval: 16 * time.Second, Timeout: 500 * time.Millisecond}}},
		{"stopSignal: 9", ImageSpec{StopSignal: "9"}},
		{"stopSignal: SIGRTMIN+3", ImageSpec{StopSignal: "SIGRTMIN+3"}},
		{"stopSignal: quit", ImageSpec{StopSignal: "quit"}},
		{"labels: {50%: of %}", ImageSpec{Labels: map[string]string{"50%": "of %"}}},
		{"labels: {b: 1, '%image%': 2, app: 3}", ImageSpec{Labels: map[string]string{"b": "1", "app": "3"}}},
	}
	for _, test := range tests {
		got := mustParse(t, head+"---\nimage: app\ndockerfile: D\nimageSpec: {config: {"+test.config+"}}\n").Images[0].ImageSpec
		if !reflect.DeepEqual(got, &test.want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", test.config, got, test.want)
		}
	}
}

// The project's spec is for final images, and the image's own wins.
func TestImageSpecMerge(t *testing.T) {
	const global = "project: p\nconfigVersion: 1\nbuild:\n  imageSpec:\n    author: all\n    clearHistory: true\n    config:\n" +
		"      labels: {team: all, image: '%image%', gone: x}\n      removeLabels: [old]\n      keepEssentialWerfLabels: true\n"
	all := func(edit func(*ImageSpec)) *ImageSpec {
		s := &ImageSpec{
			Author: "all", ClearHistory: true, KeepEssentialWerfLabels: true,
			Labels:       map[string]string{"team": "all", "image": "app", "gone": "x"},
			RemoveLabels: patternsOf(t, "old"),
		}
		if edit != nil {
			edit(s)
		}
		return s
	}
	tests := []struct {
		name, text string
		want       *ImageSpec
	}{
		{"nothing of its own", "", all(nil)},
		{"not final", "final: false", nil},
		{"not final, its own", "imageSpec: {author: me}\nfinal: false", &ImageSpec{Author: "me"}},
		{"keys without values", "imageSpec: {author: , clearHistory: , config: {labels: }}", all(nil)},
		{"author", "imageSpec: {author: me}", all(func(s *ImageSpec) { s.Author = "me" })},
		{"false wins over true", "imageSpec: {clearHistory: false, config: {keepEssentialWerfLabels: false}}", all(func(s *ImageSpec) {
			s.ClearHistory, s.KeepEssentialWerfLabels = false, false
		})},
		{"labels", "imageSpec: {config: {labels: {team: mine, more: y}}}", all(func(s *ImageSpec) {
			s.Labels["team"], s.Labels["more"] = "mine", "y"
		})},
		{"removed labels", "imageSpec: {config: {removeLabels: [/new.*/]}}", all(func(s *ImageSpec) {
			s.RemoveLabels = patternsOf(t, "old", "/new.*/")
		})},
		{"a removed label of the project's", "imageSpec: {config: {labels: {team: mine}, removeLabels: [gone, team]}}", all(func(s *ImageSpec) {
			delete(s.Labels, "gone")
			s.Labels["team"] = "mine"
			s.RemoveLabels = patternsOf(t, "old", "gone", "team")
		})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Another image before it must not leave its marks.
			config := mustParse(t, global+"---\nimage: first\ndockerfile: D\nimageSpec: {config: {labels: {team: first, x: y}, "+
				"removeLabels: [image]}}\n---\nimage: app\ndockerfile: D\n"+test.text+"\n")
			if got := config.Images[1].ImageSpec; !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
			if got := config.Meta.Build.ImageSpec.Labels["team"]; got != "all" {
				t.Errorf("the project's label is %q now", got)
			}
		})
	}
}
