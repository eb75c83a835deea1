package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Repo is a git repository with a work tree on the branch main. The user's and
// the machine's git configuration have no part in it, and the author, the
// committer and the times are fixed: the same calls give the same commits.
type Repo struct {
	Dir string

	t       testing.TB
	commits int // each is a minute later than the one before
}

// GitRepo makes a repository with one commit of files, which maps slash
// separated paths to contents.
func GitRepo(t testing.TB, files map[string]string) *Repo {
	t.Helper()
	r := &Repo{Dir: filepath.Join(t.TempDir(), "repo"), t: t}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		t.Fatalf("making a repository: %v", err)
	}
	r.Git("init", "--quiet", "--initial-branch=main")
	for path, content := range files {
		r.Write(path, content)
	}
	r.Commit("first")
	return r
}

// Git runs git in the repository and returns its trimmed output.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	when := fmt.Sprint(epoch.Add(time.Duration(r.commits)*time.Minute).Unix(), " +0000")
	env := append(baseEnv(),
		"HOME="+filepath.Dir(r.Dir),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.org", "GIT_AUTHOR_DATE="+when,
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.org", "GIT_COMMITTER_DATE="+when,
	)
	return strings.TrimSpace(command(r.t, r.Dir, env, "git", args...))
}

// Path returns the path of a file of the work tree.
func (r *Repo) Path(path string) string { return filepath.Join(r.Dir, filepath.FromSlash(path)) }

// Write writes a file, not executable, and the directories over it. Links and
// modes are made with os.Symlink and os.Chmod on Path.
func (r *Repo) Write(path, content string) {
	r.t.Helper()
	err := os.MkdirAll(filepath.Dir(r.Path(path)), 0o755)
	if err == nil {
		err = os.WriteFile(r.Path(path), []byte(content), 0o644)
	}
	if err != nil {
		r.t.Fatalf("writing a file of the repository: %v", err)
	}
}

// Remove removes a file or a directory that exists.
func (r *Repo) Remove(path string) {
	r.t.Helper()
	_, err := os.Lstat(r.Path(path))
	if err == nil {
		err = os.RemoveAll(r.Path(path))
	}
	if err != nil {
		r.t.Fatalf("removing a file of the repository: %v", err)
	}
}

// Commit commits the work tree as it is, changed or not, and returns the id.
func (r *Repo) Commit(message string) string {
	r.t.Helper()
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	r.commits++
	return r.Git("rev-parse", "HEAD")
}

// Clone clones the repository into dir, which must not exist.
func (r *Repo) Clone(dir string) *Repo {
	r.t.Helper()
	r.Git("clone", "--quiet", r.Dir, dir)
	return &Repo{Dir: dir, t: r.t, commits: r.commits}
}
