package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// A registry that wants tokens costs a run with nothing to do two requests, and
// those that follow it on the same machine none: they find the token that it kept.
func TestNothingToDoWithTokens(t *testing.T) {
	t.Parallel()
	const password = "the-password"
	registry, repo := shopRegistry(t, testenv.Bearer("user", password)), shop(t)
	who := logins{registry.Host: "user:" + password}
	first := testenv.Slipway(t)
	logIn(t, first, who)
	build := shopArgs(registry, "build")
	publish := shopArgs(registry, "bundle", "publish", "--tag", "1.0.0")
	first.Run(repo.Dir, nil, build...).Must(t)
	first.Run(repo.Dir, nil, publish...).Must(t)

	cli := testenv.Slipway(t)
	logIn(t, cli, who)
	run := func(when string, want int, args ...string) {
		t.Helper()
		registry.Reset()
		r := cli.Run(repo.Dir, nil, args...).Must(t)
		if n := len(registry.Log()); n != want {
			t.Errorf("%s: %d requests, want %d: %v", when, n, want, registry.Log())
		}
		noSecret(t, r, "user", password)
		if strings.Contains(r.Stdout+r.Stderr, "token-") {
			t.Errorf("a token is printed:\n%s%s", r.Stdout, r.Stderr)
		}
	}
	const images = 3
	run("the first run", images+2, build...)
	run("the second", images, build...)
	run("another verb", images+2, publish...)
	tokens := filepath.Join(cli.Home, "state", "slipway", "tokens")
	files, err := os.ReadDir(tokens)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v, want one file", files, err)
	}
	if raw, err := os.ReadFile(filepath.Join(tokens, files[0].Name())); err != nil || strings.Contains(string(raw), password) {
		t.Errorf("kept: %s (%v)", raw, err)
	}
	bundle := registry.Host + "/shop:1.0.0"
	registry.Reset()
	cli.Run(repo.Dir, nil, "bundle", "inspect", bundle).Must(t)
	for _, request := range registry.Log() {
		if request.Path == "/token" || request.Status == 401 {
			t.Errorf("bundle inspect made the request %v", request)
		}
	}

	cli.Run(repo.Dir, nil, "cr", "login", registry.Host, "--username", "user", "--password", password).Must(t)
	if files, err := os.ReadDir(tokens); err != nil || len(files) != 0 {
		t.Errorf("left after a login: %v, %v", files, err)
	}
	run("after a login", images+2, build...)
	run("after that", images, build...)
	cli.Run(repo.Dir, nil, "cr", "logout", registry.Host).Must(t)
	if files, err := os.ReadDir(tokens); err != nil || len(files) != 0 {
		t.Errorf("left after a logout: %v, %v", files, err)
	}
	if r := cli.Run(repo.Dir, nil, build...); r.Code != 1 || !strings.Contains(r.Stderr, "no credentials for "+registry.Host) {
		t.Errorf("logged out: exit code %d\n%s", r.Code, r.Stderr)
	}

	// A directory that cannot be written, which is a file here, is no error.
	if err := os.RemoveAll(tokens); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tokens, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	logIn(t, cli, who)
	run("without a directory", images+2, build...)
	run("still without one", images+2, build...)
}
