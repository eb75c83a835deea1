package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docs/guides/flags.md says what each flag does; the program does that.
func TestFlagsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	verbs := map[string][]string{
		"build": {"build"}, "export": {"export"}, "publish": {"bundle publish"},
		"config": {"config list", "config graph", "config render"},
	}
	root := rootCommand()
	documented := map[string]bool{} // "COMMAND --FLAG"
	for _, row := range regexp.MustCompile("(?m)^\\| (`--.*`) \\| ([a-z, ]+) \\| ([a-z ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			name = strings.Trim(name, "`-")
			for verb := range strings.SplitSeq(row[2], ", ") {
				if verbs[verb] == nil {
					t.Errorf("%s: no verb %q", name, verb)
				}
				for _, command := range verbs[verb] {
					documented[command+" --"+name] = true
					checkFlag(t, root, command, name, row[3])
				}
			}
		}
	}
	for _, commands := range verbs {
		for _, command := range commands {
			commandOf(t, root, command).LocalFlags().VisitAll(func(flag *pflag.Flag) {
				if !documented[command+" --"+flag.Name] {
					t.Errorf("%s --%s is not in the documentation", command, flag.Name)
				}
			})
		}
	}
	if len(documented) < 200 {
		t.Errorf("%d flags found: this test looks for the wrong thing", len(documented))
	}
}

func commandOf(t *testing.T, root *cobra.Command, name string) *cobra.Command {
	t.Helper()
	cmd, _, err := root.Find(strings.Fields(name))
	if err != nil || cmd == root {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd
}

func checkFlag(t *testing.T, root *cobra.Command, command, name, state string) {
	t.Helper()
	cmd := commandOf(t, root, command)
	flag := cmd.Flags().Lookup(name)
	switch state {
	case "supported":
		if flag == nil || strings.HasPrefix(flag.Usage, "No effect") {
			t.Errorf("%s --%s is not supported", command, name)
			return
		}
		unread := []string{"progress"}
		if !strings.Contains(flag.Usage, "($WERF_") && !slices.Contains(unread, name) {
			t.Errorf("%s --%s is read from no variable", command, name)
		}
	case "no effect":
		if flag == nil || !strings.HasPrefix(flag.Usage, "No effect: ") {
			t.Errorf("%s --%s is not taken without an effect", command, name)
		}
	case "not yet":
		err := flagError(cmd, cmd.ParseFlags([]string{"--" + name + "=x"}))
		var usage *usageError
		if flag != nil || !errors.As(err, &usage) || !strings.Contains(err.Error(), "is not supported yet") {
			t.Errorf("%s --%s: %v", command, name, err)
		}
	default:
		t.Errorf("%s --%s is %q", command, name, state)
	}
}

// --backend-network and --ssh-key reach RUNs, and are in no key.
func TestHowFlags(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\nnetwork: none\nssh: default=/nowhere\n",
		"Dockerfile": "FROM busybox\nRUN wget -q -O /answer http://" + registry.Host + "/v2/\n" +
			"RUN --mount=type=ssh,required=true test -S \"$SSH_AUTH_SOCK\"\n",
	})
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	cli := testenv.Slipway(t)
	args := []string{"build", "--repo", registry.Host + "/app", "--container-registry-mirror", "http://" + registry.Host}
	for name, test := range map[string]struct {
		env  []string
		args []string
		code int
		want string
	}{
		"no network":      {[]string{"WERF_SSH_KEY_1=" + key}, nil, 1, "wget"},
		"no key":          {nil, []string{"--backend-network=host"}, 1, "/nowhere"},
		"unknown network": {nil, []string{"--backend-network=fast"}, 2, "default, none or host"},
		"missing key":     {nil, []string{"--ssh-key=missing"}, 2, "missing"},
	} {
		if r := cli.Run(repo.Dir, test.env, append(args, test.args...)...); r.Code != test.code || !strings.Contains(r.Stderr, test.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", name, r.Code, test.code, test.want, r.Stderr)
		}
	}
	cli.Run(repo.Dir, []string{"WERF_SSH_KEY_1=" + key, "WERF_BACKEND_NETWORK=host"}, args...).Must(t)
	cli.Run(repo.Dir, nil, append(args, "-Z", "--backend-network=none")...).Must(t)
}

// The project can be given another name, and its rendered configuration a file.
func TestProjectFlags(t *testing.T) {
	t.Parallel()
	registry := shopRegistry(t)
	repo, cli := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\nfinal: false\nimageSpec: {config: {labels: {of: '%project%'}}}\n# {{ .Env }}\n",
		"Dockerfile": "FROM scratch\nCOPY . /\n",
	}), testenv.Slipway(t)
	env := []string{"WERF_PROJECT_NAME=other", "WERF_ENV=prod", "WERF_CONFIG_RENDER_PATH=rendered.yaml"}
	args := []string{"export", "--tag", registry.Host + "/out:v1", "--final-images-only=false"}
	cli.Run(repo.Dir, env, args...).Must(t)
	config, err := registry.Image("out:v1").ConfigFile()
	if err != nil || config.Config.Labels["of"] != "other" {
		t.Errorf("%v: labels %v", err, config.Config.Labels)
	}
	if text := fileOf(t, repo, "rendered.yaml"); !strings.HasSuffix(text, "# prod\n") {
		t.Errorf("rendered is\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(cli.Home, "state", "slipway", "repos", "other")); err != nil {
		t.Errorf("the project's own repository: %v", err)
	}
	if r := cli.Run(repo.Dir, env, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("the rendered configuration is in the context:\n%s", r.Stderr)
	}
	cli.Run(repo.Dir, []string{"WERF_ENV=dev"}, "config", "list", "--config-render-path", "rendered.yaml").Must(t)
	if text := fileOf(t, repo, "rendered.yaml"); !strings.HasSuffix(text, "# dev\n") {
		t.Errorf("rendered is\n%s", text)
	}
	if r := cli.Run(repo.Dir, nil, "config", "list", "--project-name", "No Name"); r.Code != 2 || !strings.Contains(r.Stderr, `"No Name" cannot be the name of a project`) {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// What is shown, and what is not.
func TestLogFlags(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n---\nimage: broken\ndockerfile: Broken\n",
		"Dockerfile": "FROM scratch\nCOPY werf.yaml /\n",
		"Broken":     "FROM busybox\nRUN echo said before && false\n",
	})
	cli := testenv.Slipway(t)
	build := func(args ...string) testenv.Result {
		return cli.Run(repo.Dir, nil, append([]string{"build", "--repo", registry.Host + "/app", "--container-registry-mirror", "http://" + registry.Host}, args...)...)
	}
	if r := build("app", "--log-quiet", "--log-debug").Must(t); r.Stderr != "" || !strings.HasPrefix(r.Stdout, registry.Host+"/app:") {
		t.Errorf("quiet: %q and %q", r.Stdout, r.Stderr)
	}
	r := build("broken", "--log-quiet")
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, "build broken: failed (") || strings.Count(r.Stderr, "did not complete") != 1 || !strings.HasSuffix(r.Stderr, ":\n    said before\n") {
		t.Errorf("quiet failure: exit code %d\n%s", r.Code, r.Stderr)
	}
	for name, test := range map[string]struct {
		args []string
		want string // a regular expression
		not  string
	}{
		"default": {nil, `(?m)^Nothing to do`, "found ("},
		"verbose": {[]string{"--log-verbose"}, `(?m)^\[build app\] found \(`, "slipway build key"},
		"debug":   {[]string{"--log-debug"}, `(?s)slipway build key.*\[build app\] found \(`, "\x1b"},
		"time":    {[]string{"--log-time", "--log-verbose", "--log-time-format=<2006>"}, `(?m)^<2\d\d\d> \[build app\] found \(`, "<2006>"},
		"dir":     {[]string{"--log-project-dir", "--dir=.", "--log-color-mode=on"}, `^Project directory: ` + regexp.QuoteMeta(repo.Dir) + "\n", "\x1b"},
	} {
		r := build(append(test.args, "app")...).Must(t)
		if !regexp.MustCompile(test.want).MatchString(r.Stderr) || strings.Contains(r.Stderr, test.not) {
			t.Errorf("%s:\n%s", name, r.Stderr)
		}
	}
	for _, args := range [][]string{{"--log-color-mode=red"}, {"--progress=fancy"}, {"--progress=tty", "--log-time"}, {"--log-terminal-width=wide"}} {
		if r := build(args...); r.Code != 2 {
			t.Errorf("%v: exit code %d\n%s", args, r.Code, r.Stderr)
		}
	}
}
