package source

import (
	"bytes"
	"context"
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
		"GIT_AUTHOR_DATE":    "1700000000 +0100",
		"GIT_COMMITTER_DATE": "1700000001 +0300",
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
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// files describes a tree: the value is the content, after "x:" of an executable
// file, after "->" the target of a symbolic link.
type files map[string]string

func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for name, content := range f {
		p := filepath.Join(dir, name)
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
func newRepo(t testing.TB, f files, initArgs ...string) string {
	t.Helper()
	dir := t.TempDir()
	runGit(t, dir, append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	f.write(t, dir)
	commitAll(t, dir)
	return dir
}

func commitAll(t testing.TB, dir string) {
	t.Helper()
	runGit(t, dir, "add", "-A", "-f")
	runGit(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
}

// checkout writes the files of HEAD to a new directory without a .git.
func checkout(t testing.TB, repo string) string {
	t.Helper()
	dir := t.TempDir()
	runGit(t, repo, "checkout-index", "-a", "--prefix="+dir+"/")
	return dir
}

func openSource(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openContext(t testing.TB, s *Source, dir string) *Context {
	t.Helper()
	c, err := s.Context(dir)
	must(t, err)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError fails unless err is target (if given) and says all the words.
func wantError(t testing.TB, err, target error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if target != nil && !isError(err, target) {
		t.Errorf("error is not %v: %v", target, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q: %v", w, err)
		}
	}
}

// noise is content that does not compress.
func noise(n int) []byte {
	out := make([]byte, n)
	x := uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte(x >> 24)
	}
	return bytes.Clone(out)
}

// gitInput runs git with the given standard input.
func gitInput(t testing.TB, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
