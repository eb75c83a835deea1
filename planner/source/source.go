// Package source reads a project's files at one commit, from git objects and
// through git's own plumbing, and offers them as an fs.FS (configuration,
// Dockerfiles, charts) and as an fsutil.FS (build contexts).
//
// It is cheap by contract: two processes, begun at the same time, serve opening and
// reading any number of files, and a file that nobody asks for is never touched; Stats
// counts, so that tests can hold it to that. The files of a submodule are part of
// the tree; it costs nothing until something in it is read, and the same then. It
// is hermetic: the commit alone
// decides what is read. The work tree need not exist, local replacements of
// objects (git replace), checkout filters and the network are never used, and
// every file carries the same owner, the same time and a normalised mode.
//
// It must never know what the files mean: no werf.yaml, no Dockerfile, no keys,
// no policy on what may come from the work tree.
package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ModTime is the modification time of every file and directory, the one of
// image layers too: 1980-01-02T00:00:00Z. Zip archives know no time before
// 1980, and the day more keeps the date in 1980 west of Greenwich.
var ModTime = time.Unix(315619200, 0).UTC()

// Options says where the project is. The zero value means the repository around
// the current directory.
type Options struct {
	// Dir is the project's directory; the files above it are out of reach.
	// Empty: the current directory, or GitWorkTree when that lies elsewhere.
	Dir string
	// GitWorkTree is the directory in which git looks for the repository, when
	// that is not Dir or one above it: the top of a work tree, or a bare
	// repository.
	GitWorkTree string
	// Tree, when set, gives the object id of a tree of the whole work tree, which
	// is read in the place of the commit's, and what git needs in its environment
	// to find the objects. It is asked for each submodule that is read, too, by its
	// path relative to the project ("." is the project itself): "" lets the commit
	// of that be read.
	Tree func(ctx context.Context, w Worktree, path string) (id string, env []string, err error)
}

// Worktree says where git is run for a project.
type Worktree struct {
	Dir     string   // where git is started
	Project string   // the project's directory, relative to Dir, with slashes
	Env     []string // what is added to the process's environment
	Environ []string // what takes the place of the process's environment, if not nil
}

// Source is a project's files at the commit that HEAD named when it was opened.
// It is safe for concurrent use.
type Source struct {
	ctx      context.Context // of the git processes
	cancel   context.CancelFunc
	git      *git
	main     *repository
	project  *growing
	workTree func(ctx context.Context, w Worktree, path string) (string, []string, error) // Options.Tree
	commit   string
	dir      string // the project's directory on disk
	below    string // the same, relative to where git is run
	bare     bool   // and so nothing on disk is a project file
	read     func() (Commit, error)
	submodules
	followed

	contextsMu sync.Mutex
	contexts   map[string]*Context // by their directory
}

// Stats counts what a Source has cost so far.
type Stats struct {
	Processes int64 // git processes started
	Objects   int64 // objects whose content was asked of git, but for those that list files
	Sizes     int64 // objects whose size was asked of git
}

// Open reads the tree of the commit at HEAD. Its errors wrap ErrNotRepository,
// ErrNoCommit, ErrNotCommitted, ErrGitNotFound, ErrDubiousOwnership,
// ErrMissingObject or fs.ErrNotExist (no such directory) where they fit. The git
// processes of the Source end with ctx, or with Close.
func Open(ctx context.Context, o Options) (*Source, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := open(ctx, o)
	if err != nil {
		cancel()
		if s != nil && s.main != nil {
			s.main.close()
		}
		return nil, err
	}
	s.cancel = cancel
	return s, nil
}

func open(ctx context.Context, o Options) (*Source, error) {
	g, dir, below, err := locate(o)
	if err != nil {
		return nil, err
	}
	s := &Source{ctx: ctx, git: g, dir: dir, below: below, workTree: o.Tree}

	// The prefix comes last because it may itself hold line breaks.
	rev, err := g.start(ctx, "rev-parse",
		"--is-bare-repository", "--is-inside-work-tree", "HEAD^{commit}", "--show-prefix")
	if err != nil {
		return s, fmt.Errorf("open the project in %q: %w", dir, err)
	}
	s.main = &repository{objects: newObjects(ctx, g, 0), modules: s.modules}
	if o.Tree == nil { // else it needs an environment that is not known yet
		s.main.begin()
	}
	out, err := rev.output()
	if err != nil {
		return s, fmt.Errorf("open the project in %q: %w", dir, err)
	}
	lines := strings.SplitN(string(out), "\n", 4)
	if len(lines) < 4 {
		return s, fmt.Errorf("open the project in %q: git rev-parse: unexpected answer %q", dir, out)
	}
	s.bare, s.commit = lines[0] == "true", lines[2]
	if !s.bare && lines[1] != "true" {
		return s, fmt.Errorf("open the project in %q: %w", dir, errOutside)
	}
	prefix := path.Join(strings.TrimSuffix(lines[3], "\n"), below)
	if prefix == "." {
		prefix = ""
	}

	root := s.commit
	if o.Tree != nil {
		var env []string
		if root, env, err = o.Tree(ctx, s.Worktree(), "."); err != nil {
			return s, err
		}
		g.env = append(g.env, env...)
	}
	s.main.idLength, s.main.root, s.main.prefix = len(s.commit), root, prefix
	if err := s.main.list(); err != nil {
		return s, fmt.Errorf("read directory %q of commit %s: %w", prefix, s.commit, err)
	}
	s.project = &growing{source: s, dir: ".", tree: s.main.tree}
	s.read = sync.OnceValues(s.readCommit)
	return s, nil
}

// locate decides where git is run, and the project's place below that.
func locate(o Options) (g *git, dir, below string, err error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, "", "", fmt.Errorf("find the current directory: %w", err)
	}
	dir = o.Dir
	if dir == "" {
		dir = cwd
	}
	base := dir
	switch {
	case o.GitWorkTree != "":
		base = o.GitWorkTree
	case os.Getenv("GIT_DIR") != "" && os.Getenv("GIT_WORK_TREE") == "":
		// Then git takes the directory it is started in for the top of the work
		// tree: it has to be the user's, not --dir.
		base = cwd
	}
	if err := checkDir(base); err != nil {
		return nil, "", "", err
	}
	if o.GitWorkTree == "" { // else only the commit has to know dir
		if err := checkDir(dir); err != nil {
			return nil, "", "", err
		}
	}
	base, dir = realPath(base), realPath(dir)
	below, err = filepath.Rel(base, dir)
	if err != nil || !filepath.IsLocal(below) {
		if o.Dir != "" || o.GitWorkTree == "" {
			return nil, "", "", fmt.Errorf("open the project in %q: %w", dir, errOutside)
		}
		below, dir = ".", base
	}
	return newGit(base, cwd, o.GitWorkTree != ""), dir, filepath.ToSlash(below), nil
}

func checkDir(dir string) error {
	fi, err := os.Stat(dir)
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: errNotDir}
	}
	if err != nil {
		return fmt.Errorf("open the project: %w: let --dir and --git-work-tree name existing directories", err)
	}
	return nil
}

// realPath is absolute and, as far as the path exists, free of symbolic links,
// like the paths that git compares.
func realPath(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	if parent := filepath.Dir(p); parent != p {
		return filepath.Join(realPath(parent), filepath.Base(p))
	}
	return p
}

// Locate is where git is going to be run for a project, before it is opened.
func Locate(o Options) (Worktree, error) {
	g, _, below, err := locate(o)
	if err != nil {
		return Worktree{}, err
	}
	return Worktree{Dir: g.dir, Project: below, Env: g.place}, nil
}

// Worktree is where git is run for the project.
func (s *Source) Worktree() Worktree {
	return Worktree{Dir: s.git.dir, Project: s.below, Env: s.git.place}
}

// Dir is the project's directory on disk, "" if nothing there belongs to it.
func (s *Source) Dir() string {
	if s.bare {
		return ""
	}
	return s.dir
}

// CommitID is the hash of the commit, in lower-case hexadecimal.
func (s *Source) CommitID() string { return s.commit }

// Stats tells what the Source has cost so far.
func (s *Source) Stats() Stats {
	stats := Stats{Processes: s.git.started.Load()}
	for _, r := range s.repositories() {
		stats.Objects += r.contents.Load()
		stats.Sizes += r.sized.Load()
	}
	return stats
}

// Close ends the git processes. Readers that are still open fail.
func (s *Source) Close() error {
	s.cancel()
	for _, r := range s.repositories() {
		r.close()
	}
	s.git.running.Wait()
	return nil
}

// Commit holds the facts of a commit that charts may print.
type Commit struct {
	Hash  string
	Unix  int64  // committer date, seconds
	Human string // committer date in UTC, as 2006-01-02 15:04:05 +0000 UTC
}

// Commit reads the commit object, once.
func (s *Source) Commit(context.Context) (Commit, error) {
	c, err := s.read()
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s: %w", s.commit, err)
	}
	return c, nil
}

func (s *Source) readCommit() (Commit, error) {
	data, err := s.main.read(s.commit)
	if err != nil {
		return Commit{}, err
	}
	header, _, _ := bytes.Cut(data, []byte("\n\n"))
	for line := range strings.Lines(string(header)) {
		// committer NAME <MAIL> SECONDS ZONE
		if f := strings.Fields(line); f[0] == "committer" && len(f) >= 3 {
			unix, err := strconv.ParseInt(f[len(f)-2], 10, 64)
			if err != nil {
				return Commit{}, fmt.Errorf("committer date: %w", err)
			}
			human := time.Unix(unix, 0).UTC().Format("2006-01-02 15:04:05 -0700 MST")
			return Commit{Hash: s.commit, Unix: unix, Human: human}, nil
		}
	}
	return Commit{}, errors.New("it names no committer")
}

// ReadAhead reads files of the commit that are going to be read, in one go. Names
// that are none of its regular files do not matter.
func (s *Source) ReadAhead(names []string) {
	v := s.project.view()
	oids := map[*repository][]string{}
	seen := map[string]bool{}
	for _, name := range names {
		i, ok := v.tree.find(name)
		if !ok || !v.tree[i].Mode.IsRegular() || seen[v.tree[i].OID] {
			continue
		}
		n := v.tree[i]
		seen[n.OID] = true
		if n.repo.isFile(n.OID) {
			continue
		}
		oids[n.repo] = append(oids[n.repo], n.OID)
	}
	for repo, wanted := range oids {
		repo.readAhead(wanted)
	}
}

// FS is the project as a file system: it also implements fs.ReadFileFS,
// fs.ReadDirFS, fs.StatFS and fs.ReadLinkFS. Open, ReadFile, ReadDir and Stat
// follow symbolic links as long as they stay inside the project, else they fail
// with ErrLinkEscapes; Lstat and directory entries tell of the link itself.
func (s *Source) FS() fs.FS { return projectFS{s.project} }
