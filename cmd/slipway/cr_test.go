package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// withInput runs the program on its machine with a standard input.
func withInput(t *testing.T, cli *testenv.CLI, input string, env []string, args ...string) testenv.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := *cli
	shell.Path = testenv.Tool(t, "bash")
	return shell.Run(t.TempDir(), env, append([]string{"-c", `exec "$@" <"$0"`, file, cli.Path}, args...)...)
}

// keeper is a credential helper that keeps what it is given in a directory, and
// writes down its arguments. It refuses the user "refused", and says what it got.
func keeper(t *testing.T) (env, dir string) {
	t.Helper()
	dir = t.TempDir()
	return helperPath(t, `
echo "$*" >>`+dir+`/arguments
case $1 in
store)
	input=$(cat)
	case $input in *refused*) echo "cannot keep $input"; exit 1 ;; esac
	printf %s "$input" >"`+dir+`/$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/; s,/,_,g')" ;;
get)
	read -r host
	cat "`+dir+`/$(printf %s "$host" | sed s,/,_,g)" 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
erase)
	read -r host
	rm "`+dir+`/$(printf %s "$host" | sed s,/,_,g)" ;;
esac
`), dir
}

func readConfig(t *testing.T, cli *testenv.CLI) (text string, config struct {
	Auths      map[string]map[string]string
	CredsStore string
	Plugins    map[string]map[string]string
}) {
	t.Helper()
	raw, err := os.ReadFile(cli.DockerConfig())
	if err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), config
}

// After a login, this and every other tool gets in.
func TestLogin(t *testing.T) {
	t.Parallel()
	const password = "pass word/\\\"$x"
	registry := testenv.Registry(t, testenv.User("ci", password))
	registry.PushImage("base:1", smallBase(t))
	helper, kept := keeper(t)
	cases := []struct {
		name   string
		config map[string]any
		input  string
		env    []string
		args   []string
	}{
		{"standard input", map[string]any{"plugins": map[string]any{"a": map[string]string{"b": "c"}}}, password + "\n", nil, []string{"-u", "ci", "--password-stdin"}},
		{"flags", map[string]any{"plugins": map[string]any{"a": map[string]string{"b": "c"}}}, "", nil, []string{"--username", "ci", "--password", password}},
		{"variables", nil, "", []string{"WERF_USERNAME=ci", "WERF_PASSWORD=" + password}, nil},
		{"variables and standard input", nil, password, []string{"WERF_USERNAME=ci", "WERF_PASSWORD_STDIN=1"}, nil},
		{"helper of all", map[string]any{"credsStore": "x", "plugins": map[string]any{"a": map[string]string{"b": "c"}}, "auths": map[string]any{registry.Host: map[string]string{"auth": "b2xkOnBhc3N3b3Jk"}}}, password, []string{helper}, []string{"-u", "ci", "--password-stdin"}},
		{"helper of one", map[string]any{"credHelpers": map[string]string{registry.Host: "x"}}, password, []string{helper}, []string{"-u", "ci", "--password-stdin"}},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cli := testenv.Slipway(t)
			if c.config != nil {
				writeDockerConfig(t, cli, c.config)
				if err := os.Chmod(cli.DockerConfig(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r := withInput(t, cli, c.input, c.env, append([]string{"cr", "login", registry.Host}, c.args...)...).Must(t)
			noSecret(t, r, "ci", password)
			if !strings.Contains(r.Stderr, "Logged in to "+registry.Host) {
				t.Errorf("%s", r.Stderr)
			}
			if text, config := readConfig(t, cli); len(config.Auths[registry.Host]) != 0 && strings.HasPrefix(c.name, "helper") || c.config["plugins"] != nil && config.Plugins["a"]["b"] != "c" {
				t.Errorf("the configuration is %s", text)
			}
			if info, err := os.Stat(cli.DockerConfig()); err != nil || info.Mode().Perm() != 0o600 && !strings.HasPrefix(c.name, "helper of one") {
				t.Errorf("%v, %v", info.Mode(), err)
			}

			repo := copyApp(t, registry.Host+"/base:1")
			ref := fmt.Sprintf("%s/app%d", registry.Host, i)
			cli.Run(repo.Dir, c.env, "export", "--repo", ref, "--tag", ref+":v1").Must(t)
			tool := *cli
			tool.Path = testenv.Tool(t, "crane")
			tool.Run(repo.Dir, c.env, "digest", ref+":v1").Must(t)
			if tool.Path = testenv.Tool(t, "skopeo"); c.name != "helper of all" { // which it does not know
				tool.Run(repo.Dir, c.env, "inspect", "--authfile", cli.DockerConfig(), "--tls-verify=false", "docker://"+ref+":v1").Must(t)
			}

			for _, want := range []string{"Logged out", "no credentials"} {
				r := cli.Run(repo.Dir, c.env, "cr", "logout", registry.Host).Must(t)
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("want %q: %s", want, r.Stderr)
				}
			}
			if r := cli.Run(repo.Dir, c.env, "build", "--repo", ref); r.Code != 1 || !strings.Contains(r.Stderr, "slipway cr login "+registry.Host) {
				t.Errorf("after the logout: exit code %d, %s", r.Code, r.Stderr)
			}
		})
	}
	arguments, err := os.ReadFile(filepath.Join(kept, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(arguments)) {
		if word := strings.TrimSpace(line); word != "store" && word != "get" && word != "erase" {
			t.Errorf("the helper was called with %q", word)
		}
	}
}

// What is refused changes nothing.
func TestRefusedLogin(t *testing.T) {
	t.Parallel()
	const password = "not-the-password"
	registry := testenv.Registry(t, testenv.User("ci", "the-password"), testenv.User("refused", password))
	helper, kept := keeper(t)
	stop := testenv.Registry(t)
	cases := []struct {
		name, host  string
		config      map[string]any
		input       string
		env, args   []string
		code        int
		want        string
		withoutFile bool
	}{
		{"wrong password", registry.Host, nil, password, nil, []string{"-u", "ci", "--password-stdin"}, 1, "401 Unauthorized", true},
		{"wrong password, with others kept", registry.Host, map[string]any{"auths": map[string]any{"a.example.org": map[string]string{"auth": "eDp5"}}}, password, nil, []string{"-u", "ci", "--password-stdin"}, 1, "nothing was stored", false},
		{"the helper fails", registry.Host, map[string]any{"credsStore": "x"}, password, []string{helper}, []string{"-u", "refused", "--password-stdin"}, 1, "cannot keep", false},
		{"no helper", registry.Host, map[string]any{"credsStore": "absent"}, password, nil, []string{"-u", "refused", "--password-stdin"}, 1, "docker-credential-absent", false},
		{"broken file", registry.Host, map[string]any{"auths": 7}, password, nil, []string{"-u", "refused", "--password-stdin"}, 1, "config.json", false},
		{"unreachable", "127.0.0.1:1", nil, password, nil, []string{"-u", "ci", "--password-stdin"}, 1, "can be reached from here", true},
		{"two passwords", registry.Host, nil, password, nil, []string{"-u", "ci", "-p", "x", "--password-stdin"}, 2, "cannot both", true},
		{"no user", registry.Host, nil, password, nil, []string{"--password-stdin"}, 2, "--username", true},
		{"empty", registry.Host, nil, "\n", nil, []string{"-u", "ci", "--password-stdin"}, 2, "no password", true},
		{"nobody to ask", registry.Host, nil, "", nil, []string{"-u", "ci"}, 2, "no terminal", true},
		{"no registry", registry.Host + "/app", nil, password, nil, []string{"-u", "ci", "--password-stdin"}, 2, "write " + registry.Host, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cli := testenv.Slipway(t)
			before := ""
			if c.config != nil {
				writeDockerConfig(t, cli, c.config)
				raw, _ := os.ReadFile(cli.DockerConfig())
				before = string(raw)
			}
			r := withInput(t, cli, c.input, c.env, append([]string{"cr", "login", c.host}, c.args...)...)
			if r.Code != c.code || !strings.Contains(r.Stderr, c.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", r.Code, c.code, c.want, r.Stderr)
			}
			noSecret(t, r, "ci", password)
			noSecret(t, r, "refused", password)
			after, err := os.ReadFile(cli.DockerConfig())
			if (err != nil) != c.withoutFile || string(after) != before {
				t.Errorf("the configuration is %q, was %q", after, before)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(kept, registry.Host)); err == nil {
		t.Error("the helper kept something")
	}
	// Who is let in without being asked is told so.
	cli := testenv.Slipway(t)
	r := withInput(t, cli, password, nil, "cr", "login", stop.Host, "-u", "ci", "--password-stdin").Must(t)
	if !strings.Contains(r.Stderr, "did not check the password") {
		t.Errorf("%s", r.Stderr)
	}
	// A directory of the user's own.
	dir := t.TempDir()
	withInput(t, cli, "the-password", nil, "cr", "login", registry.Host, "-u", "ci", "--password-stdin", "--docker-config", dir).Must(t)
	if err := exec.Command("grep", "-q", registry.Host, filepath.Join(dir, "config.json")).Run(); err != nil {
		t.Error("--docker-config was not written to")
	}
}
