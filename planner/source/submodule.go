package source

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// repository is what a tree and its objects are read from: the project's own, or
// that of a submodule.
type repository struct {
	*objects
	root    string          // what is read: a commit or a tree
	prefix  string          // the directory of root that is read
	path    string          // of the submodule, relative to the project; "" is the project's own
	modules func() []string // where it may keep the repositories of its submodules
	tree    tree
}

// submodules are those of a source that were read.
type submodules struct {
	mu     sync.Mutex
	lists  map[string]func() (tree, error) // by path
	opened []*repository
	looked []ReadSubmodule
}

// ReadSubmodule is a submodule of which something was read.
type ReadSubmodule struct {
	Path     string // relative to the project
	Worktree Worktree
}

// Submodules are those that were read so far and have a work tree, by path.
func (s *Source) Submodules() []ReadSubmodule {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.looked)
	slices.SortFunc(list, func(a, b ReadSubmodule) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// repositories are those that were opened so far.
func (s *Source) repositories() []*repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*repository{s.main}, s.opened...)
}

// submodule reads the tree of the submodule at a path of the project, once.
func (s *Source) submodule(name string, link node) (tree, error) {
	s.mu.Lock()
	if s.lists == nil {
		s.lists = map[string]func() (tree, error){}
	}
	list, ok := s.lists[name]
	if !ok {
		list = sync.OnceValues(func() (tree, error) { return s.openSubmodule(name, link) })
		s.lists[name] = list
	}
	s.mu.Unlock()
	return list()
}

// openSubmodule finds the repository of a submodule, without which git would have
// to fetch it. The commit's id says what is read, so it does not matter where that
// is found: where the work tree has it, or where git keeps it for the day that the
// submodule is checked out.
func (s *Source) openSubmodule(name string, link node) (tree, error) {
	worktree := Worktree{Dir: filepath.Join(s.dir, filepath.FromSlash(name)), Environ: elsewhere()}
	checkedOut := ""
	if !s.bare {
		checkedOut = gitDirOf(worktree.Dir)
	}
	if checkedOut != "" {
		s.mu.Lock()
		s.looked = append(s.looked, ReadSubmodule{name, worktree})
		s.mu.Unlock()
	}
	open := func(gitDir, root string, env []string) (tree, error) {
		r := &repository{objects: newObjects(s.ctx, s.git.in(gitDir), len(link.OID)), root: root, path: name,
			modules: func() []string { return []string{filepath.Join(gitDir, "modules")} }}
		r.git.env = append(r.git.env, env...)
		if err := r.list(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened = append(s.opened, r)
		return r.tree, nil
	}
	if checkedOut != "" && s.workTree != nil {
		root, env, err := s.workTree(s.ctx, worktree, name)
		if err != nil {
			return nil, fmt.Errorf("submodule %q: %w", name, err)
		}
		if root != "" {
			t, err := open(checkedOut, root, env)
			if err != nil {
				err = fmt.Errorf("submodule %q: %w", name, err)
			}
			return t, err
		}
	}
	if checkedOut != "" {
		if t, err := open(checkedOut, link.OID, nil); err == nil || s.ctx.Err() != nil {
			return t, err
		}
	}
	for _, gitDir := range link.repo.gitDirs(name) {
		if t, err := open(gitDir, link.OID, nil); err == nil || s.ctx.Err() != nil {
			return t, err
		}
	}
	return nil, s.notFetched(name, link)
}

// gitDirOf is the repository of which a directory is the work tree
// (gitrepository-layout(5)); "" if there is none.
func gitDirOf(dir string) string {
	place := filepath.Join(dir, ".git")
	info, err := os.Lstat(place)
	if err != nil || info.IsDir() {
		if err != nil {
			place = ""
		}
		return place
	}
	text, err := os.ReadFile(place)
	target, ok := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), "gitdir: ")
	if err != nil || !ok {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(dir, target)
	}
	return target
}

// gitDirs are the places where git keeps the submodule at a path of the project
// when it is not checked out: under its name, which .gitmodules gives it.
func (r *repository) gitDirs(name string) []string {
	below := path.Join(r.prefix, name)
	if r.path != "" {
		below = strings.TrimPrefix(name, r.path+"/")
	}
	// git itself reads its format. It fails when there is no such file.
	out, err := r.git.output(r.ctx, "config", "--blob", r.root+":.gitmodules", "-z", "--get-regexp", `^submodule\..*\.path$`)
	if err != nil {
		return nil
	}
	var dirs []string
	for _, field := range strings.Split(string(out), "\x00") {
		key, value, _ := strings.Cut(field, "\n")
		module := strings.TrimSuffix(strings.TrimPrefix(key, "submodule."), ".path")
		// A name with .. leads out, which git refuses, too.
		if path.Clean(value) != below || slices.Contains(strings.Split(module, "/"), "..") {
			continue
		}
		for _, modules := range r.modules() {
			dir := filepath.Join(modules, filepath.FromSlash(module))
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// modules are where the project's repository may keep those of its submodules: a
// linked work tree has its own, and the first work tree's are as good.
func (s *Source) modules() []string {
	out, err := s.git.output(s.ctx, "rev-parse", "--absolute-git-dir", "--git-common-dir")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		dir := strings.TrimSuffix(line, "\n")
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.git.dir, dir)
		}
		dirs = append(dirs, filepath.Join(dir, "modules"))
	}
	return slices.Compact(dirs)
}

// notFetched says how to get a submodule.
func (s *Source) notFetched(name string, link node) error {
	command, below := "git submodule update --init ", name
	if outer := link.repo.path; outer != "" {
		command, below = "git -C "+shellWord(outer)+" submodule update --init ", strings.TrimPrefix(name, outer+"/")
	}
	advice := "run `" + command + shellWord(below) + "`"
	if s.bare {
		advice = "a bare repository has no submodules: use a clone with a work tree, and there " + advice
	}
	return fmt.Errorf("%q: %w: no repository here has its commit %s: %s, or, if it is part of a build context that does not need it, list it in .dockerignore",
		name, ErrSubmodule, link.OID, advice)
}

var plainWord = regexp.MustCompile(`^[\w./@%+,:-]+$`)

// shellWord is a text as one word of a command.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
