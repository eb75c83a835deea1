package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

const (
	secretKey = "WERF_SECRET_KEY=bc3458408a5687e60b9417adb84e4ad0"
	// Both were encrypted by werf with that key.
	werfSecretFile   = "100052fb0fa1cc8ef1cb123be089cdb853cc153772691b8fb743d612a7b64d65614d4d8745250752564941227eb8d7161523\n"
	werfSecretValues = "added_via_secret_values: 10007b717b44ec49b722c5d517cf6259bd20c93ea5ef2dcfc3934bccee59613d0ac07f5f39835d30f3736fc5d3edc10335bb\n" +
		"overridden_via_secret_values: 1000ad8725d33000e7bf81a5b65851003b9ca35e999b617ccff1fe402c7a941382f4fc5c9257de633a42427958b5fb43b2e3\n"
)

// secretBench is a project directory and a shell with the program in PATH.
type secretBench struct {
	t    *testing.T
	cli  *testenv.CLI
	repo *testenv.Repo
	tmp  string
	env  []string
}

func newSecretBench(t *testing.T) *secretBench {
	b := &secretBench{t: t, cli: testenv.Slipway(t), tmp: t.TempDir(), repo: testenv.GitRepo(t, map[string]string{
		"werf.yaml":         "project: app\nconfigVersion: 1\ndeploy:\n  helmChartDir: chart\n",
		".helm/secret/date": werfSecretFile, ".helm/secret-values.yaml": werfSecretValues,
	})}
	bin := t.TempDir()
	script(t, bin, "secret", "exec "+b.cli.Path+` helm secret "$@"`)
	b.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "TMPDIR=" + b.tmp}
	return b
}

// sh runs a line of shell with the key.
func (b *secretBench) sh(line string, env ...string) testenv.Result {
	b.t.Helper()
	shell := *b.cli
	shell.Path = testenv.Tool(b.t, "bash")
	r := shell.Run(b.repo.Dir, append(append([]string{secretKey}, b.env...), env...), "-o", "pipefail", "-c", line)
	b.nothingLeft()
	return r
}

// nothingLeft checks that no plaintext stays behind.
func (b *secretBench) nothingLeft() {
	b.t.Helper()
	if left, err := os.ReadDir(b.tmp); err != nil || len(left) > 0 {
		b.t.Errorf("left behind: %v, %v", left, err)
	}
}

func (b *secretBench) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.repo.Path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

func TestSecretCommands(t *testing.T) {
	t.Parallel()
	b := newSecretBench(t)
	for line, want := range map[string]string{
		"secret decrypt < .helm/secret/date":                                      "secretConfigContent\n",
		"secret file decrypt .helm/secret/date":                                   "secretConfigContent\n",
		"secret file decrypt < .helm/secret/date":                                 "secretConfigContent\n",
		"secret values decrypt .helm/secret-values.yaml":                          "added_via_secret_values: added_via_secret_values\noverridden_via_secret_values: overridden_via_secret_values\n",
		"printf 'no line end' | secret encrypt | secret decrypt":                  "no line end",
		"printf 'a\\n' > plain; secret file encrypt plain | secret decrypt":       "a\n",
		"echo 'a: {b: 1}' | secret values encrypt | secret values decrypt":        "a: {b: \"1\"}\n",
		"secret generate-secret-key | tr 0-9a-f x":                                strings.Repeat("x", 32) + "\n",
		"echo x | secret encrypt -o new/dir/f && secret decrypt < new/dir/f":      "x\n",
		"echo x | secret encrypt --output-file-path /dev/stdout | secret decrypt": "x\n",
	} {
		if r := b.sh(line).Must(t); r.Stdout != want || r.Stderr != "" {
			t.Errorf("%s\nprints %q and %q, want %q", line, r.Stdout, r.Stderr, want)
		}
	}
	// A plaintext that is written to a file is for its owner only; a file that is
	// there keeps its permissions.
	b.sh("secret file decrypt .helm/secret/date -o plaintext; echo x > old; chmod 640 old; secret file decrypt .helm/secret/date -o old").Must(t)
	for name, want := range map[string]os.FileMode{"plaintext": 0o600, "old": 0o640, "new/dir/f": 0o644} {
		if info, err := os.Stat(b.repo.Path(name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestSecretKeyPlaces(t *testing.T) {
	t.Parallel()
	b := newSecretBench(t)
	_, right, _ := strings.Cut(secretKey, "=")
	wrong := strings.Repeat("0", 32)
	decrypt := "secret decrypt < .helm/secret/date"
	if r := b.sh(decrypt, "WERF_SECRET_KEY="); r.Code != 2 || !strings.Contains(r.Stderr, "there is no secret key: $WERF_SECRET_KEY is not set, and neither .werf_secret_key nor "+b.cli.Home+"/.werf/global_secret_key exists") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	for _, step := range []struct {
		file, key string
		env       []string
	}{
		{filepath.Join(b.cli.Home, ".werf/global_secret_key"), right, nil},
		{filepath.Join(b.cli.Home, "other/global_secret_key"), wrong, []string{"WERF_HOME=" + filepath.Join(b.cli.Home, "other")}},
		{b.repo.Path(".werf_secret_key"), wrong, nil},
		{b.repo.Path("sub/.werf_secret_key"), right, []string{"WERF_DIR=sub"}},
	} {
		if err := os.MkdirAll(filepath.Dir(step.file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(step.file, []byte(step.key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := b.sh(decrypt, append(step.env, "WERF_SECRET_KEY=")...)
		if step.key == right {
			r.Must(t)
		} else if r.Code != 2 || !strings.Contains(r.Stderr, "encrypted with another key, or damaged") {
			t.Errorf("%s: exit code %d, %s", step.file, r.Code, r.Stderr)
		}
	}
	b.sh(decrypt).Must(t) // the environment goes first
	b.repo.Write(".werf_secret_key", "")
	if r := b.sh(decrypt, "WERF_SECRET_KEY="); r.Code != 2 || !strings.Contains(r.Stderr, ".werf_secret_key: a secret key has") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

func TestSecretMistakes(t *testing.T) {
	t.Parallel()
	b := newSecretBench(t)
	b.repo.Write("half.yaml", werfSecretValues+"password: hunter2\n")
	b.repo.Write("plain.yaml", "a: b\n  c: hunter2\n")
	for line, want := range map[string]string{
		"secret encrypt < /dev/null":                               "there is nothing on standard input",
		"secret values decrypt half.yaml":                          "half.yaml:3:11: password: the value is not encrypted, or damaged",
		"secret values encrypt half.yaml -o out":                   "half.yaml:1:26: added_via_secret_values: the value is encrypted already, with this key",
		"secret values encrypt plain.yaml -o out":                  "plain.yaml:2:1: no YAML: mapping values are not allowed in this context",
		"secret file decrypt plain.yaml -o out":                    "plain.yaml: the text cannot be decrypted: it is not an encrypted text",
		"secret values decrypt .helm/secret/date":                  ".helm/secret/date:1:1: a file of values must be a mapping",
		"WERF_SECRET_KEY=hunter2 secret encrypt <<< x":             "$WERF_SECRET_KEY: a secret key has hexadecimal digits only",
		"secret rotate-secret-key":                                 "$WERF_OLD_SECRET_KEY is not set",
		"secret values edit":                                       "accepts 1 arg(s), received 0",
		"EDITOR='sed -i s/^added/[/' secret values edit half.yaml": "half.yaml:3:11: password: the value is not encrypted, or damaged",
	} {
		r := b.sh(line)
		if r.Code != 2 || !strings.Contains(r.Stderr, want) || r.Stdout != "" || strings.Contains(r.Stderr, "hunter") {
			t.Errorf("%s\nexit code %d, prints %q and\n%swant %s", line, r.Code, r.Stdout, r.Stderr, want)
		}
	}
	if _, err := os.Stat(b.repo.Path("out")); err == nil {
		t.Error("a file was written all the same")
	}
}

func TestSecretEdit(t *testing.T) {
	t.Parallel()
	b := newSecretBench(t)
	const values = ".helm/secret-values.yaml"
	edit := func(editor string) testenv.Result {
		t.Helper()
		return b.sh("secret values edit "+values, "EDITOR="+editor)
	}
	edit("sed -i s/overridden_via_secret_values$/changed/").Must(t)
	before, after := strings.SplitAfter(werfSecretValues, "\n"), strings.SplitAfter(b.read(values), "\n")
	if before[0] != after[0] || before[1] == after[1] {
		t.Errorf("only the second value was edited:\n%s", b.read(values))
	}
	if r := b.sh("secret values decrypt " + values).Must(t); r.Stdout != "added_via_secret_values: added_via_secret_values\noverridden_via_secret_values: changed\n" {
		t.Error(r.Stdout)
	}
	// Nothing changed, an editor that fails, a text that is no YAML: the file stays.
	now := b.read(values)
	info, err := os.Stat(b.repo.Path(values))
	if err != nil {
		t.Fatal(err)
	}
	edit("true").Must(t)
	if r := edit("false"); r.Code != 1 || !strings.Contains(r.Stderr, "stays as it was") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	if r := edit("sed -i s/^added/[/"); r.Code != 2 || !strings.Contains(r.Stderr, "no YAML") || !strings.Contains(r.Stderr, "stays as it was") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	if again, err := os.Stat(b.repo.Path(values)); err != nil || !os.SameFile(info, again) || b.read(values) != now {
		t.Errorf("the file was written: %v", err)
	}

	// The plaintext is where nobody else can read it, under the file's name.
	look := filepath.Join(t.TempDir(), "look")
	if err := os.WriteFile(look, []byte("#!/bin/sh\nstat -c '%a %n' \"$(dirname $1)\" $1 > "+look+".out\necho x > $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.sh("secret file edit --tmp-dir $TMPDIR new/secret && secret file decrypt new/secret", "EDITOR="+look).Must(t)
	seen, err := os.ReadFile(look + ".out")
	if err != nil || !regexp.MustCompile(`^700 `+b.tmp+`/slipway-edit-\d+\n600 `+b.tmp+`/slipway-edit-\d+/secret\n$`).Match(seen) {
		t.Errorf("the editor saw %s, %v", seen, err)
	}
}

// At a terminal one can go on after a mistake.
func TestSecretEditAgain(t *testing.T) {
	b := newSecretBench(t)
	tool := testenv.Tool(t, "script")
	editor := filepath.Join(t.TempDir(), "editor")
	// The first time a mistake, the second time none.
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nif test -e $0.second; then echo 'a: mended' > $1; else touch $0.second; echo 'a: [' > $1; fi\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	line := "echo ANSWER | " + tool + " -qec 'secret values edit v.yaml' /dev/null"
	if r := b.sh(strings.Replace(line, "ANSWER", "n", 1), "EDITOR="+editor); r.Code != 2 || !strings.Contains(r.Stdout, "no YAML") {
		t.Errorf("exit code %d, %s", r.Code, r.Stdout)
	}
	if err := os.Remove(editor + ".second"); err != nil {
		t.Fatal(err)
	}
	b.sh(strings.Replace(line, "ANSWER", "", 1), "EDITOR="+editor).Must(t)
	if r := b.sh("secret values decrypt v.yaml").Must(t); r.Stdout != "a: mended\n" {
		t.Error(r.Stdout)
	}
	// What is typed is asked for, and not shown.
	r := b.sh("(until grep -qs Enter seen; do sleep 0.1; done; sleep 0.5; echo hunter2) | " + tool + " -qfec 'secret encrypt -o typed' seen && secret decrypt < typed").Must(t)
	if want := "Enter secret: \r\nhunter2"; r.Stdout != want {
		t.Errorf("got %q, want %q", r.Stdout, want)
	}
}

// However the program is told to end, the plaintext goes first.
func TestSecretEditInterrupted(t *testing.T) {
	for name, s := range map[string]struct {
		signals []syscall.Signal
		editor  string
	}{
		"Ctrl-C":          {[]syscall.Signal{syscall.SIGINT}, "exec sleep 60"},
		"Ctrl-C twice":    {[]syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM}, "trap '' TERM; exec sleep 60"},
		"terminal closed": {[]syscall.Signal{syscall.SIGHUP}, "exec sleep 60"},
		"quit":            {[]syscall.Signal{syscall.SIGQUIT}, "exec sleep 60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSecretBench(t)
			editor := filepath.Join(t.TempDir(), "editor")
			if err := os.WriteFile(editor, []byte("#!/bin/sh\necho x >> $1; touch $0.runs; "+s.editor+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, b.cli.Path, "helm", "secret", "file", "edit", ".helm/secret/date")
			cmd.Dir, cmd.Env = b.repo.Dir, append(b.env, secretKey, "EDITOR="+editor)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for ctx.Err() == nil {
				if _, err := os.Stat(editor + ".runs"); err == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			for _, signal := range s.signals {
				if err := cmd.Process.Signal(signal); err != nil {
					t.Error(err)
				}
				time.Sleep(50 * time.Millisecond)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit code 1", err)
			}
			b.nothingLeft()
			if got := b.read(".helm/secret/date"); got != werfSecretFile {
				t.Errorf("the file became %s", got)
			}
		})
	}
}

func TestRotateSecretKey(t *testing.T) {
	t.Parallel()
	b := newSecretBench(t)
	_, old, _ := strings.Cut(secretKey, "=")
	env := []string{"WERF_OLD_SECRET_KEY=" + old, "WERF_SECRET_KEY=" + strings.Repeat("ab", 32)}
	b.repo.Write("chart/secret/deep/file", werfSecretFile)
	b.repo.Write("chart/secret/empty", "")
	b.repo.Write("chart/secret-values.yaml", "# kept\n"+werfSecretValues)
	b.repo.Write("extra.yaml", werfSecretValues)
	before := b.repo.Git("status", "--short")

	// One file that cannot be decrypted, and none is changed.
	b.repo.Write("chart/secret/zzz", "1000"+strings.Repeat("00", 32))
	if r := b.sh("secret rotate-secret-key extra.yaml", env...); r.Code != 2 || r.Stdout != "" || !strings.Contains(r.Stderr, "decrypting with the old key: chart/secret/zzz: ") {
		t.Errorf("exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err := os.Remove(b.repo.Path("chart/secret/zzz")); err != nil {
		t.Fatal(err)
	}
	if b.read("extra.yaml") != werfSecretValues || b.repo.Git("status", "--short") != before {
		t.Error("a rotation that failed changed files")
	}

	r := b.sh("secret rotate-secret-key extra.yaml chart/secret-values.yaml", env...).Must(t)
	if want := "extra.yaml\nchart/secret-values.yaml\nchart/secret/deep/file\n"; r.Stdout != want {
		t.Errorf("rotated %q, want %q", r.Stdout, want)
	}
	for line, want := range map[string]string{
		"secret file decrypt chart/secret/deep/file":     "secretConfigContent\n",
		"secret values decrypt chart/secret-values.yaml": "# kept\nadded_via_secret_values: added_via_secret_values\noverridden_via_secret_values: overridden_via_secret_values\n",
		"secret file decrypt .helm/secret/date":          "", // not this project's chart: it has the old key
	} {
		if r := b.sh(line, env...); r.Stdout != want {
			t.Errorf("%s: %q, want %q\n%s", line, r.Stdout, want, r.Stderr)
		}
	}
	// Once more, with one file that has the old key.
	b.repo.Write("extra.yaml", werfSecretValues)
	if r := b.sh("secret rotate-secret-key extra.yaml", env...).Must(t); r.Stdout != "extra.yaml\n" {
		t.Errorf("rotated %q the second time", r.Stdout)
	}
}
