package source

import "errors"

// What can be wrong with a project's repository, each with what to do about it.
// They are always wrapped with what was being read.
var (
	ErrGitNotFound   = errors.New("git is not installed, or not in PATH: install it (Debian and Ubuntu: apt-get install git)")
	ErrNotRepository = errors.New("this is not inside a git repository: run `git init` and commit the project's files, " +
		"or name the project's directory with --dir")
	ErrNoCommit     = errors.New("the repository has no commit yet: run `git add` and `git commit`; files are read from the commit at HEAD")
	ErrNotCommitted = errors.New("the commit has no such directory: commit its files, or name another directory with --dir")

	ErrDubiousOwnership = errors.New("git refuses the repository because another user owns it: run " +
		"`git config --global --add safe.directory DIR` with the directory that git names, or change its owner")
	ErrMissingObject = errors.New("the repository does not hold an object of the commit (a partial clone, or a damaged repository): " +
		"clone without --filter, or fetch everything with `git fetch --refetch --no-filter`")

	ErrSubmodule = errors.New("the submodule is not fetched")
	ErrLFS       = errors.New("the commit has a pointer of Git LFS here, not the file: files kept by LFS are not supported yet; commit the file itself, " +
		"list it in .dockerignore if the image does not need it, or lay the work tree's file over it with contextAddFiles")
	ErrLinkEscapes = errors.New("the symbolic link leads out of the project: let it point, by a relative path, to a file of the project")

	errOutside = errors.New("the directory is not inside the git work tree: " +
		"let --dir name a directory of the work tree, and --git-work-tree (or GIT_WORK_TREE) the top of that tree")
	errClosed   = errors.New("the source is closed")
	errLinkLoop = errors.New("too many levels of symbolic links")
)
