package giterminism

import (
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

	"slipway/planner/diag"
)

// DevOptions says how --dev takes the work tree.
type DevOptions struct {
	// State is a private directory, one per work tree, made when it is needed. It
	// holds the index that makes the next run cheap, and the new objects.
	State string
	// Ignore is the --dev-ignore globs, relative to the project, with * within a
	// directory and ** across. What they match, and all below it, stays as it is
	// in the commit, whether git knows it or not. See IgnoreWithin for submodules.
	Ignore []string

	now func() time.Time // for tests; nil is the clock
}

// DevTree is a work tree as a tree object.
type DevTree struct {
	Tree string   // object id of the tree of the whole work tree, not of the project
	Env  []string // what git needs in its environment to read the objects
}

// MakeDevTree makes the tree that "git add --all" and "git write-tree" would,
// but with an index and an object directory of its own: nothing in the user's
// repository is written.
//
// It starts with a copy of the user's index, for its stat cache, its flags and
// the tracked files that .gitignore matches; the result is kept for as long as
// that index does not change, so that untracked and modified files, too, are
// read once. Each run works on a copy of its own and then renames it, so that
// runs need no lock, and one that was killed leaves nothing that matters.
//
// A submodule is in it as the commit that is checked out there; what has changed
// in its own work tree is in the tree of that.
//
// It costs three processes, four the first time with Ignore.
func MakeDevTree(ctx context.Context, w Worktree, o DevOptions) (*DevTree, error) {
	tree, err := makeDevTree(ctx, w, o)
	if errors.Is(err, ErrNoWorkTree) {
		return nil, (&diag.Diagnostic{Message: "--dev: " + ErrNoWorkTree.Error()}).
			Advise("clone the repository without --bare, or leave --dev out to read the commit")
	} else if err != nil {
		return nil, fmt.Errorf("--dev: make a tree of the work tree: %w", err)
	}
	return tree, nil
}

func makeDevTree(ctx context.Context, w Worktree, o DevOptions) (*DevTree, error) {
	if slices.Contains(o.Ignore, "") {
		return nil, &diag.Diagnostic{Message: "--dev-ignore: an empty pattern"}
	}
	d, err := openDev(ctx, w, o)
	if err != nil {
		return nil, err
	}
	kept := d.private + "index-" + d.id
	tree, err := d.run(ctx, kept)
	if errors.Is(err, errBadIndex) {
		// Whatever became of it, the user's index is as good to start with.
		os.Remove(kept)
		tree, err = d.run(ctx, kept)
	}
	return tree, err
}

// errBadIndex says that git failed on an index that an earlier run kept.
var errBadIndex = errors.New("with the index of an earlier run")

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// dev is one run.
type dev struct {
	Worktree
	DevOptions
	private string // State, absolute, with a separator at its end
	seed    *seed
	id      string // of the seed
	objects string // the repository's object directory
}

func openDev(ctx context.Context, w Worktree, o DevOptions) (*dev, error) {
	out, err := w.git(ctx, nil, "rev-parse",
		"HEAD^{commit}", "--git-path", "index", "--git-path", "objects")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != 3 {
		return nil, fmt.Errorf("git rev-parse: unexpected answer %q: is there a line break in the repository's path?", out)
	}
	d := &dev{Worktree: w, DevOptions: o}
	if d.objects, err = w.abs(lines[2]); err != nil {
		return nil, err
	}
	index, err := w.abs(lines[1])
	if err != nil {
		return nil, err
	}
	state, err := filepath.Abs(o.State)
	if err != nil {
		return nil, err
	}
	d.private = state + string(filepath.Separator)
	if err := os.MkdirAll(d.private+"objects", 0o700); err != nil {
		return nil, err
	}
	if d.seed, err = readSeed(index); err != nil {
		return nil, fmt.Errorf("read the repository's index: %w", err)
	}
	if d.now == nil {
		d.now = time.Now
	}
	// The day, so that no run depends for long on an object of the user's
	// repository that git may prune, nor keeps many objects of its own.
	d.id = d.seed.id(slices.Concat([]string{lines[0], w.Project, day(d.now())}, o.Ignore))
	return d, nil
}

// run makes the tree with the kept index, or one that is seeded when there is
// none, and keeps its own.
func (d *dev) run(ctx context.Context, kept string) (tree *DevTree, err error) {
	f, err := os.CreateTemp(d.private, "work-"+day(d.now())+"-*")
	if err != nil {
		return nil, err
	}
	f.Close()
	work := f.Name()
	defer os.Remove(work) // unless it was renamed
	defer os.Remove(work + ".lock")

	start, err := readSeed(kept)
	reused := err == nil && start != nil
	if !reused {
		start = d.seed
	}
	env := []string{
		"GIT_INDEX_FILE=" + work,
		"GIT_OBJECT_DIRECTORY=" + d.private + "objects",
		alternates(d.objects),
	}
	if err := d.plant(ctx, env, work, start, reused); err != nil {
		return nil, err
	}
	tree, err = d.write(ctx, env)
	if err != nil {
		if reused && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errBadIndex, err)
		}
		return nil, err
	}
	if err := os.Rename(work, kept); err != nil {
		return nil, err
	}
	if !reused {
		sweep(d.private, kept, d.now())
	}
	return tree, nil
}

// plant makes the index that git add starts with.
func (d *dev) plant(ctx context.Context, env []string, work string, start *seed, reused bool) error {
	var err error
	if start != nil {
		err = start.write(work)
	} else if err = os.Remove(work); err == nil { // an empty file is no index
		_, err = d.git(ctx, env, "read-tree", "HEAD")
	}
	if err != nil || reused || len(d.Ignore) == 0 {
		return err
	}
	// What is ignored is as in the commit, not as in the user's index.
	args := []string{"reset", "--quiet", "HEAD", "--"}
	for _, glob := range d.Ignore {
		args = append(args, d.glob("", glob)...)
	}
	_, err = d.git(ctx, env, args...)
	return err
}

// write brings the index up to date and makes its tree.
func (d *dev) write(ctx context.Context, env []string) (*DevTree, error) {
	all := []string{":/"} // from the top
	for _, glob := range d.Ignore {
		all = append(all, d.glob("exclude,", glob)...)
	}
	_, err := d.git(ctx, env, slices.Concat([]string{"add", "--all", "--"}, all)...)
	if err != nil && !onlyIgnored(err) {
		return nil, fmt.Errorf("%w\n(--dev-ignore GLOB leaves files out)", err)
	}
	out, err := d.git(ctx, env, "write-tree")
	if err != nil {
		return nil, err
	}
	return &DevTree{Tree: strings.TrimSpace(string(out)), Env: []string{alternates(d.private + "objects")}}, nil
}

// onlyIgnored tells that git add did all it was asked to, but ends with 1
// because .gitignore matches what an exclude pattern matches, too.
func onlyIgnored(err error) bool {
	var exit *exec.ExitError
	var failed *gitError
	return errors.As(err, &exit) && exit.ExitCode() == 1 && errors.As(err, &failed) &&
		strings.HasPrefix(failed.said, "The following paths are ignored by one of your .gitignore files")
}

// IgnoreWithin is what the --dev-ignore globs of a project mean in one of its
// directories: globs relative to that. all tells that they match the directory
// itself, or one above it.
func IgnoreWithin(globs []string, dir string) (within []string, all bool) {
	if dir == "." {
		return globs, false
	}
	for _, glob := range globs {
		rests := [][]string{strings.Split(strings.TrimPrefix(path.Clean(glob), "/"), "/")}
		for name := range strings.SplitSeq(dir, "/") {
			var next [][]string
			for _, rest := range rests {
				for len(rest) > 0 && rest[0] == "**" { // this directory, or none
					next = append(next, rest)
					rest = rest[1:]
				}
				if len(rest) == 0 {
					return nil, true
				}
				if matchName(rest[0], name) {
					next = append(next, rest[1:])
				}
			}
			rests = next
			if slices.ContainsFunc(rests, func(rest []string) bool { return len(rest) == 0 }) {
				return nil, true
			}
		}
		for _, rest := range rests {
			within = append(within, strings.Join(rest, "/"))
		}
	}
	return within, false
}

// matchName matches one name, with git's way to write what is not in a class.
func matchName(pattern, name string) bool {
	matches, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return err == nil && matches
}
