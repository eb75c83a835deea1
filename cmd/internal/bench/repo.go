package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Repo is a git repository with a work tree, of some shape.
type Repo struct {
	Dir   string
	Shape Shape

	commits int // each is a minute later than the one before
}

// Generate makes the repository of a shape in dir, which must not exist.
func Generate(ctx context.Context, dir string, s Shape) (*Repo, error) {
	if s.Images < 1 || s.Platforms > len(platforms) {
		return nil, fmt.Errorf("making a repository: no shape: %+v", s)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a repository: %w", err)
	}
	r := &Repo{Dir: dir, Shape: s}
	if _, err := r.git(ctx, nil, "init", "-q", "--template=", "-b", "main"); err != nil {
		return nil, err
	}
	stream, w := io.Pipe()
	go func() { w.CloseWithError(s.fastImport(w)) }()
	_, err := r.git(ctx, stream, "-c", "fastimport.unpackLimit=0", "-c", "core.compression=0", "fast-import", "--quiet", "--done")
	stream.Close()
	if err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, nil, "reset", "-q", "--hard"); err != nil {
		return nil, err
	}
	// What git has written in the second in which it wrote its index it would
	// compare by content, time and again.
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(dir, ".git", "index"), later, later); err != nil {
		return nil, fmt.Errorf("making a repository: %w", err)
	}
	return r, nil
}

// Write writes a file of the work tree that is there already, and does not
// commit it.
func (r *Repo) Write(path, content string) error {
	if err := os.WriteFile(filepath.Join(r.Dir, filepath.FromSlash(path)), []byte(content), 0o644); err != nil {
		return fmt.Errorf("changing the repository: %w", err)
	}
	return nil
}

// Commit commits a file with a new content.
func (r *Repo) Commit(ctx context.Context, path, content string) error {
	if err := r.Write(path, content); err != nil {
		return err
	}
	r.commits++
	_, err := r.git(ctx, nil, "commit", "-q", "-m", "change "+path, "--", path)
	return err
}

// Restore takes back what was not committed.
func (r *Repo) Restore(ctx context.Context) error {
	_, err := r.git(ctx, nil, "checkout", "-q", "--", ".")
	return err
}

// Tree is the id of the commit's tree: the digest of all files.
func (r *Repo) Tree(ctx context.Context) (string, error) {
	return r.git(ctx, nil, "rev-parse", "HEAD^{tree}")
}

func (r *Repo) git(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	when := fmt.Sprint(1700000000+60*r.commits, " +0000")
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = r.Dir, stdin
	cmd.Env = append(baseEnv(),
		"HOME="+filepath.Dir(r.Dir), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Bench", "GIT_AUTHOR_EMAIL=bench@example.org", "GIT_AUTHOR_DATE="+when,
		"GIT_COMMITTER_NAME=Bench", "GIT_COMMITTER_EMAIL=bench@example.org", "GIT_COMMITTER_DATE="+when,
	)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// baseEnv is what every process here may know of the environment: where programs
// are, and where temporary files go.
func baseEnv() []string {
	env := []string{"LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
