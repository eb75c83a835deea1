package source

import (
	"slices"
	"sync"
)

// followed is what reads of the project's files found behind symbolic links.
type followed struct {
	linksMu sync.Mutex
	led     map[string]string // by the name that was read: the path that it led to
	through map[string]string // by the path of a link: a name whose reading followed it
}

// follow notes that a name led to a path, and the links that it did so through.
// In a build context it is the filter that follows links.
func (s *Source) follow(g *growing, name, to string, links []string) {
	if g != s.project {
		return
	}
	s.linksMu.Lock()
	defer s.linksMu.Unlock()
	if s.led == nil {
		s.led, s.through = map[string]string{}, map[string]string{}
	}
	s.led[name] = to
	for _, link := range links {
		s.through[link] = name
	}
}

// Aliases are the other names, sorted, by which reads have reached what is at a
// path, or would have if it were there: through symbolic links. If the path is
// that of a link which they followed, through is the name of one such read, else
// "".
func (s *Source) Aliases(p string) (names []string, through string) {
	s.linksMu.Lock()
	defer s.linksMu.Unlock()
	for name, to := range s.led {
		switch {
		case to == p:
			names = append(names, name)
		case to == ".":
			names = append(names, name+"/"+p)
		case inside(p, to):
			names = append(names, name+p[len(to):])
		}
	}
	slices.Sort(names)
	return names, s.through[p]
}
