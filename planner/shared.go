package planner

import "sync"

// shared has values by name, each made once for all who want it: by the first, and
// the others wait.
type shared[V any] struct{ made sync.Map }

func (s *shared[V]) get(name string, make func() (V, error)) (V, error) {
	once, ok := s.made.Load(name)
	if !ok {
		once, _ = s.made.LoadOrStore(name, sync.OnceValues(make))
	}
	return once.(func() (V, error))()
}
