package main

import (
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// A configuration made by templates, as large projects have it.
var templated = map[string]string{
	"werf.yaml": `project: shop
configVersion: 1
{{- range $name := list "front" "back" }}
---
{{ include "image.tmpl" (dict "name" $name "mode" (env "MODE" "plain")) }}
{{- end }}
{{- if eq .Env "dev" }}
---
image: debug
dockerfile: Dockerfile
final: false
{{- end }}
`,
	".werf/image.tmpl": `image: {{ .name }}
dockerfile: Dockerfile
args:
  NAME: {{ .name | upper | quote }}
  MODE: {{ .mode | quote }}
`,
	"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig:\n  goTemplateRendering:\n    allowEnvVariables: [MODE]\n",
	"Dockerfile":            "FROM base\nARG NAME\nARG MODE\nRUN echo $NAME $MODE\n",
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	repo, cli := testenv.GitRepo(t, templated), testenv.Slipway(t)
	text := cli.Run(repo.Dir, nil, "config", "render").Must(t).Stdout
	for _, want := range []string{"image: front\n", `NAME: "BACK"`, `MODE: "plain"`} {
		if !strings.Contains(text, want) {
			t.Errorf("config render lacks %q:\n%s", want, text)
		}
	}
	if one := cli.Run(repo.Dir, nil, "config", "render", "back").Must(t).Stdout; strings.Contains(one, "front") || !strings.Contains(one, "image: back\n") {
		t.Errorf("config render back:\n%s", one)
	}
	if list := cli.Run(repo.Dir, nil, "config", "list", "--env", "dev").Must(t).Stdout; list != "front\nback\ndebug\n" {
		t.Errorf("config list: %q", list)
	}
	if list := cli.Run(repo.Dir, []string{"WERF_ENV=dev"}, "config", "list", "--final-images-only").Must(t).Stdout; list != "front\nback\n" {
		t.Errorf("config list of final images: %q", list)
	}
	plain := planned(t, cli, repo).Images
	r := cli.Run(repo.Dir, []string{"MODE=fancy"}, "plan", "--output", "json").Must(t)
	if len(plain) != 2 || strings.Contains(r.Stdout, plain[0].Key) {
		t.Error("a variable that enters an argument does not change the key")
	}
	// A mistake in what a template made is told with the way to see it.
	repo.Write(".werf/image.tmpl", strings.Replace(templated[".werf/image.tmpl"], "dockerfile:", "dockerfle:", 1))
	repo.Commit("a mistake")
	if r := cli.Run(repo.Dir, nil, "plan"); r.Code != 2 || !strings.Contains(r.Stderr, "slipway config render") || !strings.Contains(r.Stderr, `did you mean "dockerfile"?`) {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
	if text := cli.Run(repo.Dir, nil, "config", "render").Must(t).Stdout; !strings.Contains(text, "\ndockerfle: Dockerfile\n") {
		t.Errorf("config render does not show the mistake:\n%s", text)
	}
	repo.Write(".werf/image.tmpl", "{{ .name | nothing }}\n")
	repo.Commit("another")
	if r := cli.Run(repo.Dir, nil, "plan"); r.Code != 2 || !strings.Contains(r.Stderr, ".werf/image.tmpl:1") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

func TestConfigGraph(t *testing.T) {
	t.Parallel()
	repo, cli := testenv.GitRepo(t, chain), testenv.Slipway(t)
	want := "- image: top\n  dependsOn:\n    dependencies: [third]\n- image: third\n  dependsOn:\n    dependencies: [second]\n" +
		"- image: second\n  dependsOn:\n    dependencies: [first]\n- image: first\n"
	if got := cli.Run(repo.Dir, nil, "config", "graph").Must(t).Stdout; got != want {
		t.Errorf("config graph:\n%s", got)
	}
}

// Images of the shell syntax do not stand in the way of others.
func TestShellSyntax(t *testing.T) {
	t.Parallel()
	repo, cli := testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: old\nfrom: ubuntu:22.04\nshell:\n  install: [make]\n---\nimage: app\ndockerfile: Dockerfile\n" +
			"---\nimage: [older, oldest]\nfrom: old\n",
		"Dockerfile": "FROM scratch\nCOPY . /\n",
	}), testenv.Slipway(t)
	if list := cli.Run(repo.Dir, nil, "config", "list").Must(t).Stdout; list != "old\napp\nolder\noldest\n" {
		t.Errorf("config list is not in the file's order: %q", list)
	}
	cli.Run(repo.Dir, nil, "plan", "app").Must(t)
	cli.Run(repo.Dir, nil, "lock").Must(t)
	r := cli.Run(repo.Dir, nil, "plan")
	if r.Code != 2 || !strings.Contains(r.Stderr, "not supported yet") || !strings.Contains(r.Stderr, "app") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}
