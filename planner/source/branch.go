package source

import (
	"context"
	"strings"
)

// Branches asks git, with one process, for the branch that is checked out, ""
// for none, and for the project's main one: what origin calls its HEAD, else main
// or master, whichever there is; "" if git knows of none. They are no part of the
// commit, and nothing that is read depends on them.
func (s *Source) Branches(ctx context.Context) (current, main string, err error) {
	const heads, origin = "refs/heads/", "refs/remotes/origin/"
	out, err := s.git.output(ctx, "for-each-ref", "--format=%(HEAD)%(refname) %(symref)", heads, origin+"HEAD", origin+"main", origin+"master")
	if err != nil {
		return "", "", err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) { // "*refs/heads/NAME ", with a blank for the star if it is not current
		name, target, _ := strings.Cut(strings.TrimSuffix(line[1:], "\n"), " ")
		switch branch, isHead := strings.CutPrefix(name, heads); {
		case name == origin+"HEAD":
			main = strings.TrimPrefix(target, origin)
		case isHead && line[0] == '*':
			current = branch
			known[branch] = true
		default:
			known[strings.TrimPrefix(branch, origin)] = true
		}
	}
	for _, name := range []string{"main", "master"} {
		if main == "" && known[name] {
			main = name
		}
	}
	return current, main, nil
}
