package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// git runs git processes, all in one directory and one environment.
type git struct {
	dir   string
	env   []string
	place []string // of env: where the repository and the work tree are
	*processes
}

// processes counts what the gits of one source run.
type processes struct {
	started atomic.Int64
	running sync.WaitGroup
}

// quiet keeps git from writing, from asking, and from what is not in the commit.
var quiet = []string{
	"LC_ALL=C",                 // messages are told apart below
	"GIT_OPTIONAL_LOCKS=0",     // reading must not write
	"GIT_TERMINAL_PROMPT=0",    // nobody may be there to answer
	"GIT_NO_REPLACE_OBJECTS=1", // refs/replace is not cloned: two clones of a commit would differ
	"GIT_NO_LAZY_FETCH=1",      // a partial clone must not go to the network, object by object:
	"GIT_ALLOW_PROTOCOL=none",  // the same for git before 2.44
}

// newGit prepares the environment. The user's GIT_DIR and GIT_WORK_TREE count,
// read relative to where the user is; a work tree given by flag (explicit) beats
// GIT_WORK_TREE, as git's own --work-tree does.
func newGit(dir, cwd string, explicit bool) *git {
	var place []string
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"} {
		if v := os.Getenv(name); v != "" && !filepath.IsAbs(v) {
			place = append(place, name+"="+filepath.Join(cwd, v))
		}
	}
	if explicit && os.Getenv("GIT_DIR") != "" {
		place = append(place, "GIT_WORK_TREE="+dir)
	}
	return &git{dir: dir, env: slices.Concat(os.Environ(), quiet, place), place: place, processes: new(processes)}
}

// elsewhere is the process's environment without what says where the user's
// repository is (git rev-parse --local-env-vars): a submodule is another.
func elsewhere() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
			"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_NAMESPACE", "GIT_PREFIX":
			return true
		}
		return false
	})
}

// in is git for another repository, wherever its work tree is: git would fail if
// that was removed.
func (g *git) in(gitDir string) *git {
	env := slices.Concat(elsewhere(), quiet, []string{"GIT_DIR=" + gitDir, "GIT_WORK_TREE=" + gitDir})
	return &git{dir: gitDir, env: env, processes: g.processes}
}

// output runs git to its end and returns what it printed.
func (g *git) output(ctx context.Context, args ...string) ([]byte, error) {
	p, err := g.start(ctx, args...)
	if err != nil {
		return nil, err
	}
	return p.output()
}

// output is what a process prints until its end.
func (p *process) output() ([]byte, error) {
	p.in.Close()
	out, err := io.ReadAll(p.out)
	if waited := p.end(); err == nil {
		err = waited
	}
	return out, err
}

// process is a running git.
type process struct {
	args   string
	in     io.WriteCloser
	out    *bufio.Reader
	pipe   *os.File // under out
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the process has ended, then:
	err    error
	stderr bytes.Buffer
}

func (g *git) start(ctx context.Context, args ...string) (*process, error) {
	p := &process{args: "git " + args[0], ctx: ctx, done: make(chan struct{})}
	if ctx.Err() != nil {
		return nil, p.failure(ctx.Err())
	}
	// A pipe of our own, because exec's must be drained before Wait: so one
	// goroutine can wait from the beginning, and nothing is ever left behind.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, p.failure(err)
	}
	defer w.Close()

	run, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(run, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, g.env, w, &p.stderr
	cmd.WaitDelay = time.Second // for children of git that outlive it
	p.pipe, p.out, p.cancel = r, bufio.NewReaderSize(r, 64<<10), cancel
	if p.in, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		r.Close()
		return nil, p.failure(err)
	}
	g.started.Add(1)
	g.running.Go(func() {
		p.err = cmd.Wait()
		cancel()
		close(p.done)
	})
	return p, nil
}

// end waits for a process that has closed its output.
func (p *process) end() error {
	<-p.done
	p.pipe.Close()
	if p.err != nil {
		return p.failure(p.err)
	}
	return nil
}

// stop ends the process, whatever it is doing, and says why it failed if it did.
// cause is what was noticed.
func (p *process) stop(cause error) error {
	p.cancel()
	<-p.done
	p.pipe.Close()
	return p.failure(cause)
}

// failure turns what git said into an error of this package. It hides the cause
// from errors.Is on purpose where there is none: fsutil takes an error that is
// fs.ErrNotExist for a file that is gone and leaves it out without a word.
func (p *process) failure(cause error) error {
	if p.ctx.Err() != nil {
		return fmt.Errorf("%s: %w", p.args, context.Cause(p.ctx))
	}
	if errors.Is(cause, exec.ErrNotFound) {
		return ErrGitNotFound
	}
	said := strings.TrimSpace(p.stderr.String())
	if said == "" {
		return fmt.Errorf("%s: %v", p.args, cause)
	}
	for _, known := range []struct {
		text string
		err  error
	}{
		{"dubious ownership", ErrDubiousOwnership},
		{"unsafe repository", ErrDubiousOwnership}, // git 2.35.2
		{"not a git repository", ErrNotRepository},
		{"unknown revision or path not in the working tree", ErrNoCommit}, // only ever asked for HEAD
		{"promisor remote", ErrMissingObject},
		{"unable to read", ErrMissingObject},
		{"ould not read", ErrMissingObject},
	} {
		if strings.Contains(said, known.text) {
			return fmt.Errorf("%w\n(%s: %s)", known.err, p.args, said)
		}
	}
	return fmt.Errorf("%s: %v: %s", p.args, cause, said)
}
