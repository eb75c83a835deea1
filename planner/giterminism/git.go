package giterminism

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Worktree says where git is run. The zero value is the repository around the
// current directory, which is the project's.
type Worktree struct {
	Dir     string   // where git is started; "" is the current directory
	Project string   // the project's directory, relative to Dir, with slashes
	Env     []string // added to the process's environment, such as GIT_WORK_TREE
	Environ []string // what takes the place of the process's environment, if not nil
}

// ErrNoWorkTree is wrapped by errors of commands that need a work tree.
var ErrNoWorkTree = errors.New("the repository is bare and has no work tree")

// settings keeps the user's configuration from running programs, from writing,
// and from changing what is printed.
var settings = []string{
	"-c", "core.hooksPath=" + os.DevNull, // post-index-change, whatever the index
	"-c", "core.fsmonitor=false", // starts a daemon, or is a hook
	"-c", "core.splitIndex=false", // the private index is one file
	"-c", "core.untrackedCache=keep",
	"-c", "core.preloadIndex=true",
	"-c", "core.safecrlf=false", // a warning, or a refusal, of what a commit is to hold
	"-c", "core.fsyncMethod=batch", // one flush for all new objects
	"-c", "core.quotePath=true", // so that Go can unquote
	"-c", "status.relativePaths=true", // to Dir
	"-c", "advice.addEmbeddedRepo=false",
	"-c", "advice.addIgnoredFile=false",
}

// environment is as in planner/source: quiet, without the network, without
// local replacements of objects, the user's relative GIT_ paths read from where
// the user is.
func (w Worktree) environment() []string {
	env := slices.Clone(w.Environ)
	if env == nil {
		env = os.Environ()
	}
	env = append(env,
		"LC_ALL=C", // messages are told apart below
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
		"GIT_LITERAL_PATHSPECS=0", "GIT_GLOB_PATHSPECS=0", "GIT_NOGLOB_PATHSPECS=0", "GIT_ICASE_PATHSPECS=0",
	)
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"} {
		if v := os.Getenv(name); w.Environ == nil && v != "" && !filepath.IsAbs(v) {
			if abs, err := filepath.Abs(v); err == nil {
				env = append(env, name+"="+abs)
			}
		}
	}
	return append(env, w.Env...)
}

// abs is a path that git printed, relative to where it ran.
func (w Worktree) abs(p string) (string, error) {
	if !filepath.IsAbs(p) {
		p = filepath.Join(w.Dir, p)
	}
	return filepath.Abs(p)
}

// glob is the pathspecs of a glob in the project and of all below what it
// matches; magic goes before their own.
func (w Worktree) glob(magic, glob string) []string {
	glob = strings.TrimPrefix(path.Clean(glob), "/")
	if strings.Contains(glob, "/") && !globMeta.MatchString(glob[:1]) {
		// Git refuses a pathspec that leads into a submodule, if it can see that.
		glob = `\` + glob
	}
	p := ":(" + magic + "glob)" + path.Join("./"+QuoteGlob(w.Project), glob)
	if !globMeta.MatchString(glob) {
		return []string{p} // means both by itself, and may be a submodule
	}
	return []string{p, p + "/**"}
}

// gitError is git's own account of its failure.
type gitError struct {
	command, said string
	err           error
}

func (e *gitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("git %s: %v", e.command, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.command, e.said)
}

func (e *gitError) Unwrap() error { return e.err }

// git runs one process to its end and returns what it printed.
func (w Worktree) git(ctx context.Context, env []string, args ...string) ([]byte, error) {
	return w.gitInput(ctx, "", env, args...)
}

func (w Worktree) gitInput(ctx context.Context, input string, env []string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", slices.Concat(settings, args)...)
	cmd.Dir, cmd.Env = w.Dir, append(w.environment(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	cmd.WaitDelay = time.Second // for children of git that outlive it
	err := cmd.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	}
	said := strings.TrimSpace(stderr.String())
	if strings.Contains(said, "must be run in a work tree") {
		err = ErrNoWorkTree
	}
	return stdout.Bytes(), &gitError{args[0], said, err}
}
