package giterminism

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain keeps the settings of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GIT_") {
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL":   os.DevNull,
		"GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME":     "A", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.org",
		// Nothing in the background that writes while a test cleans up.
		"GIT_CONFIG_COUNT": "2",
		"GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "0",
		"GIT_CONFIG_KEY_1": "maintenance.auto", "GIT_CONFIG_VALUE_1": "false",
	} {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// runGit runs git in dir and returns its output without the last line break.
func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return runGitEnv(t, dir, nil, args...)
}

func runGitEnv(t testing.TB, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// content describes a tree: the value is the content, after "x:" of an executable
// file, after "->" the target of a symbolic link; "-" removes.
type content map[string]string

func (f content) write(t testing.TB, dir string) {
	t.Helper()
	for name, content := range f {
		p := filepath.Join(dir, name)
		must(t, os.RemoveAll(p))
		if content == "-" {
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		if target, ok := strings.CutPrefix(content, "->"); ok {
			must(t, os.Symlink(target, p))
		} else if script, ok := strings.CutPrefix(content, "x:"); ok {
			must(t, os.WriteFile(p, []byte(script), 0o755))
		} else {
			must(t, os.WriteFile(p, []byte(content), 0o644))
		}
	}
}

// newRepo makes a repository whose only commit holds f.
func newRepo(t testing.TB, f content) string {
	t.Helper()
	dir := t.TempDir()
	runGit(t, dir, "init", "-q", "-b", "main")
	f.write(t, dir)
	commitAll(t, dir)
	return dir
}

func commitAll(t testing.TB, dir string) {
	t.Helper()
	runGit(t, dir, "add", "-A", "-f")
	runGit(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
}

// traced makes git write down what it runs; processes counts those that were
// not started by another git.
func traced(t testing.TB, w Worktree) (Worktree, func() int) {
	log := filepath.Join(t.TempDir(), "trace")
	w.Env = append(w.Env, "GIT_TRACE2_EVENT="+log)
	return w, func() int {
		data, err := os.ReadFile(log)
		must(t, err)
		n := 0
		for line := range strings.Lines(string(data)) {
			_, sid, _ := strings.Cut(line, `"sid":"`)
			sid, _, _ = strings.Cut(sid, `"`)
			if strings.Contains(line, `"event":"start"`) && !strings.Contains(sid, "/") {
				n++
			}
		}
		return n
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}
