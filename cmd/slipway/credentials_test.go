package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// logins is a Docker configuration: host -> "user:password".
type logins map[string]string

// logIn writes the Docker configuration of a machine.
func logIn(t *testing.T, cli *testenv.CLI, who logins) {
	t.Helper()
	auths := map[string]map[string]string{}
	for host, login := range who {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	writeDockerConfig(t, cli, map[string]any{"auths": auths})
}

func writeDockerConfig(t *testing.T, cli *testenv.CLI, config map[string]any) {
	t.Helper()
	raw, err := json.Marshal(config)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(cli.DockerConfig()), 0o700)
	}
	if err == nil {
		err = os.WriteFile(cli.DockerConfig(), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// credentialHelper is a PATH with docker-credential-x, which knows who. Each
// question leaves a line in the log.
func credentialHelper(t *testing.T, who logins) (env, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	script := "read -r host\necho \"$1 $host\" >>" + log + "\ncase $host in\n"
	for host, login := range who {
		user, password, _ := strings.Cut(login, ":")
		script += fmt.Sprintf("%s) echo '{\"ServerURL\": %q, \"Username\": %q, \"Secret\": %q}' ;;\n", host, host, user, password)
	}
	// The words are Docker's protocol.
	return helperPath(t, script+"*) echo credentials not found in native keychain; exit 1 ;;\nesac\n"), log
}

// helperPath is a PATH with a docker-credential-x that is a shell script.
func helperPath(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-x"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

// noSecret checks that nothing of a password, in any of the forms in which it
// travels, is in what a run printed.
func noSecret(t *testing.T, r testenv.Result, user, password string) {
	t.Helper()
	for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))} {
		if strings.Contains(r.Stdout+r.Stderr, secret) {
			t.Errorf("the password is printed:\n%s%s", r.Stdout, r.Stderr)
		}
	}
}

// smallBase is an image to build on: one file.
func smallBase(t *testing.T) v1.Image {
	return testenv.TreeImage(t, nil, map[string]string{"etc/base": "base\n"}, nil)
}

// copyApp is a project of one image that needs no RUN.
func copyApp(t *testing.T, base string) *testenv.Repo {
	return testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM " + base + "\nCOPY file /file\n",
		"file":       "content\n",
	})
}

// Pulls of a base, pushes and tags all go to closed registries, each with
// credentials of its own, from each place that credentials can be in.
func TestCredentials(t *testing.T) {
	t.Parallel()
	const secret = "s3cret-of-the-"
	base := testenv.Registry(t, testenv.User("puller", secret+"base"))
	store := testenv.Registry(t, testenv.User("pusher", secret+"store"))
	other := testenv.Registry(t, testenv.User("publisher", secret+"other"))
	base.PushImage("private/base:1", smallBase(t))
	repo := copyApp(t, base.Host+"/private/base:1")
	key := planned(t, testenv.Slipway(t), repo).Images[0].Key

	all := logins{
		base.Host: "puller:" + secret + "base", store.Host: "pusher:" + secret + "store", other.Host: "publisher:" + secret + "other",
	}
	helper, asked := credentialHelper(t, all)
	cases := []struct {
		name   string
		config func(cli *testenv.CLI)
		env    []string
	}{
		{"config file", func(cli *testenv.CLI) { logIn(t, cli, all) }, nil},
		{"helper of one registry", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{
				"credHelpers": map[string]string{store.Host: "x"},
				"auths": map[string]any{
					base.Host:  map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(all[base.Host]))},
					other.Host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(all[other.Host]))},
				},
			})
		}, []string{helper}},
		{"helper of all", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{"credsStore": "x"})
		}, []string{helper}},
	}
	var digests []string
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cli := testenv.Slipway(t)
			c.config(cli)
			in := fmt.Sprintf("team%d/app", i)
			r := cli.Run(repo.Dir, c.env, "export", "--repo", store.Host+"/"+in, "--tag", other.Host+"/"+in+":v1").Must(t)
			for _, login := range all {
				user, password, _ := strings.Cut(login, ":")
				noSecret(t, r, user, password)
			}
			if kept, published := store.Digest(in+":"+key), other.Digest(in+":v1"); kept == "" || kept != published {
				t.Errorf("kept %q, published %q", kept, published)
			}
			digests = append(digests, other.Digest(in+":v1"))
		})
	}
	if slices.Sort(digests); len(slices.Compact(digests)) != 1 {
		t.Errorf("the digests differ: %v", digests)
	}
	if log, err := os.ReadFile(asked); err != nil || !strings.Contains(string(log), "get "+store.Host+"\n") {
		t.Errorf("the helper was asked %q (%v)", log, err)
	}
}

// Credentials that do not work: exit code 1, whose they are, and what to do.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	const password, wrong = "the-right-password", "the-wrong-password"
	closed := testenv.Registry(t, testenv.User("user", password))
	open := testenv.Registry(t)
	closed.PushImage("base:1", smallBase(t))
	open.PushImage("base:1", smallBase(t))
	helper, _ := credentialHelper(t, logins{"another.example.org": "user:" + password})
	broken := helperPath(t, "echo the helper is broken; exit 1\n")
	wrongly := func(cli *testenv.CLI) { logIn(t, cli, logins{closed.Host: "user:" + wrong}) }
	cases := []struct {
		name           string
		login          func(cli *testenv.CLI)
		env            []string
		base, repo, to string
		wants          []string
	}{
		{"repository, wrong password", wrongly, nil, open.Host, closed.Host, open.Host, []string{closed.Host + "/app", "slipway cr login " + closed.Host, "config.json"}},
		{"repository, no credentials", func(*testenv.CLI) {}, nil, open.Host, closed.Host, open.Host, []string{"no credentials for " + closed.Host, "slipway cr login " + closed.Host}},
		{"tag, wrong password", wrongly, nil, open.Host, open.Host, closed.Host, []string{closed.Host + "/published", "slipway cr login " + closed.Host}},
		{"base, wrong password", wrongly, nil, closed.Host, open.Host, open.Host, []string{closed.Host + "/base:1", "slipway cr login " + closed.Host, "Dockerfile:1"}},
		{"broken helper", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{"credHelpers": map[string]string{closed.Host: "x"}})
		}, []string{broken}, open.Host, closed.Host, open.Host, []string{closed.Host, "config.json", "the helper is broken"}},
		{"helper that does not know", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{"credsStore": "x"})
		}, []string{helper}, open.Host, closed.Host, open.Host, []string{"no credentials for " + closed.Host, "slipway cr login"}},
		{"absent helper", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{"credHelpers": map[string]string{closed.Host: "absent"}})
		}, nil, open.Host, closed.Host, open.Host, []string{closed.Host, "config.json", "docker-credential-absent"}},
		{"broken configuration", func(cli *testenv.CLI) {
			writeDockerConfig(t, cli, map[string]any{"auths": "nonsense"})
		}, nil, open.Host, closed.Host, open.Host, []string{"Docker configuration", "config.json"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cli := testenv.Slipway(t)
			c.login(cli)
			repo := copyApp(t, c.base+"/base:1")
			r := cli.Run(repo.Dir, c.env, "export", "--repo", c.repo+"/app", "--tag", c.to+"/published:v1")
			if r.Code != 1 {
				t.Errorf("exit code %d, want 1", r.Code)
			}
			for _, want := range c.wants {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("standard error lacks %q", want)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("%s", r.Stderr)
			}
			noSecret(t, r, "user", wrong)
			noSecret(t, r, "user", password)
			if d := open.Digest("published:v1"); d != "" {
				t.Errorf("the tag was published as %s", d)
			}
		})
	}
}

// Who may only read can do all that has nothing to do: CI of a fork, for one.
func TestReadOnlyUser(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t, testenv.User("writer", "w"), testenv.User("reader", "r"), testenv.ReadOnly("reader"))
	registry.PushImage("base:1", smallBase(t))
	repo := copyApp(t, registry.Host+"/base:1")
	repo.Write(".helm/templates/app.yaml", strings.ReplaceAll(deployment, "myapp", "app"))
	repo.Commit("a chart")
	writer, reader := testenv.Slipway(t), testenv.Slipway(t)
	logIn(t, writer, logins{registry.Host: "writer:w"})
	logIn(t, reader, logins{registry.Host: "reader:r"})
	in := []string{"--repo", registry.Host + "/app"}
	verbs := [][]string{
		append([]string{"build"}, in...),
		append([]string{"build", "-Z"}, in...),
		append([]string{"export", "-Z", "--tag", registry.Host + "/published:v1"}, in...),
		append([]string{"bundle", "publish", "--tag", "1.0.0"}, in...),
	}
	if r := reader.Run(repo.Dir, nil, verbs[0]...); r.Code != 1 || !strings.Contains(r.Stderr, "denied") {
		t.Errorf("the reader built something, or was not told why not: exit code %d\n%s", r.Code, r.Stderr)
	}
	for _, verb := range verbs {
		writer.Run(repo.Dir, nil, verb...).Must(t)
	}
	registry.Reset()
	for _, verb := range verbs {
		if r := reader.Run(repo.Dir, nil, verb...); r.Code != 0 {
			t.Errorf("%v: exit code %d\n%s", verb, r.Code, r.Stderr)
		}
	}
	if w := registry.Writes(); len(w) > 0 {
		t.Errorf("writes: %v", w)
	}
}
