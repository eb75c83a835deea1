package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// Every command in the documentation is run: the lines of each block marked "sh"
// in turn, in one project per document, with a registry for example.org. What its
// image does is for TestExampleExport: here it has a base that is small.
func TestCommandsInTheDocumentation(t *testing.T) {
	t.Parallel()
	pages := []string{"../../README.md"}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	guides, err := filepath.Glob("../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	mirror := testenv.Registry(t)
	mirror.PushImage("library/node:latest", testenv.BusyboxImage(t))
	commands := 0
	for _, page := range append(append(pages, more...), guides...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		lines := shellLines(string(text))
		if len(lines) == 0 {
			continue
		}
		commands += len(lines)
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			runLines(t, mirror, lines)
		})
	}
	if commands < 10 {
		t.Errorf("%d commands found in the documentation", commands)
	}
}

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

func shellLines(text string) []string {
	var lines []string
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	return lines
}

func runLines(t *testing.T, mirror *testenv.RegistryServer, lines []string) {
	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	repo := testenv.GitRepo(t, nodeApp)
	repo.Write("Dockerfile", strings.Replace(nodeApp["Dockerfile"], "npm ci", "ls", 1))
	repo.Write(".helm/templates/myapp.yaml", deployment)
	repo.Commit("a chart")
	bin := t.TempDir()
	// Helm takes no notice of what is on loopback.
	script(t, bin, "helm", `exec `+testenv.Tool(t, "helm")+` "$@" $(case "$*" in *oci://*) echo --plain-http;; esac)`)
	script(t, bin, "slipway", "exec "+cli.Path+` "$@"`)
	env := []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "WERF_CONTAINER_REGISTRY_MIRROR_1=http://" + mirror.Host,
	}
	shell := *cli
	shell.Path = testenv.Tool(t, "bash")
	for _, line := range lines {
		if task, ok := strings.CutPrefix(line, "go tool task "); ok {
			taskExists(t, task)
			continue
		}
		line = regexp.MustCompile(`(other\.)?example\.org\b`).ReplaceAllString(line, registry.Host)
		if r := shell.Run(repo.Dir, env, "-c", line); r.Code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", line, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func script(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// taskExists checks a task without running it: one of them runs this test.
func taskExists(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("../../Taskfile.yml")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^  %s:$`, regexp.QuoteMeta(name))).Match(text) {
		t.Errorf("no task %q in Taskfile.yml", name)
	}
}

// The quickstart is run as a reader runs it.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("bash", "docs/examples/quickstart.sh")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+testenv.StateDir(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"RUN ran and wrote /built.txt", "Nothing to do"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(string(out), "Nothing to do"); n != 2 {
		t.Errorf("%d runs had nothing to do, want the 2 of the second time\n%s", n, out)
	}
	if r := testenv.RunImage(t, "oci:../../bin/quickstart/out:latest").Must(t); r.Stdout != "hello from an image built by Slipway\n" {
		t.Errorf("the image says %q", r.Stdout)
	}
}
