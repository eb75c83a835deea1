package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"slipway/planner/dockerfile"
	"slipway/planner/lock"
)

// Commit is the commit that a repository's ref stands for. git asks, with the
// user's configuration, credentials and ssh.
func (r Resolver) Commit(ctx context.Context, remote dockerfile.Remote) (string, error) {
	commit, err := r.commit(ctx, remote)
	return commit, explain(remote, err)
}

func (r Resolver) commit(ctx context.Context, remote dockerfile.Remote) (string, error) {
	args := []string{"ls-remote", "--", remote.URL, remote.Ref, remote.Ref + "^{}"}
	if remote.Ref == "" {
		args = []string{"ls-remote", "--symref", "--", remote.URL, "HEAD"}
	}
	out, err := r.git(ctx, remote, args...)
	if err != nil {
		return "", err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(value, "ref: refs/heads/") {
			name = "default branch"
		}
		refs[name] = value
	}
	commit := chosen(refs, remote.Ref)
	switch {
	case remote.Ref == "" && refs["default branch"] == "":
		return "", errors.New("the repository has no default branch; write one behind a #")
	case commit == "":
		return "", fmt.Errorf("the repository has no branch or tag %q", remote.Ref)
	case !lock.IsCommit(commit):
		return "", fmt.Errorf("git gives %q for a commit", commit)
	}
	return commit, nil
}

// chosen picks as BuildKit does, and git: what the ref is in full, a branch, a
// tag. Of an annotated tag it is the commit that the tag is for.
func chosen(refs map[string]string, ref string) string {
	if ref == "" {
		return refs["HEAD"]
	}
	tag := "refs/tags/" + strings.TrimPrefix(ref, "refs/tags/")
	names := []string{"refs/heads/" + strings.TrimPrefix(ref, "refs/heads/"), tag + "^{}", tag}
	if full := "refs/" + strings.TrimPrefix(ref, "refs/"); full != tag {
		names = append([]string{full + "^{}", full}, names...)
	}
	for _, name := range names {
		if refs[name] != "" {
			return refs[name]
		}
	}
	return ""
}

// git runs git to its end and returns what it printed. What grants access goes
// through the environment, which other users cannot see.
func (r Resolver) git(ctx context.Context, remote dockerfile.Remote, args ...string) (string, error) {
	host := gitHost(remote.URL)
	authorization, err := r.first(
		secret{"GIT_AUTH_HEADER." + host, asIs}, secret{"GIT_AUTH_TOKEN." + host, basic},
		secret{"GIT_AUTH_HEADER", asIs}, secret{"GIT_AUTH_TOKEN", basic})
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0") // nobody may be there to answer
	if authorization != "" {
		n, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT")) // none is 0
		cmd.Env = append(cmd.Env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+1),
			fmt.Sprintf("GIT_CONFIG_KEY_%d=http.%s.extraheader", n, remote.URL),
			fmt.Sprintf("GIT_CONFIG_VALUE_%d=Authorization: %s", n, authorization))
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // for children of git that outlive it
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(said)
		}
		return "", fmt.Errorf("git ls-remote: %w", err)
	}
	return stdout.String(), nil
}
