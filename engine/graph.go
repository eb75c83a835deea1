// Graph checking (before anything runs): the order and the depth of each node.

package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// state is what a run knows about one node. Only the scheduler's goroutine
// touches it.
type state struct {
	node  *Node
	needs []*state // in the order of node.Needs, repeats included
	order int      // place in graph order: depth-first from the goals, needs first
	depth int      // longest distance from a goal
	kind  *kind

	seen       bool      // a goal, or needed by a node that was missed
	busy       bool      // Find or Run is in flight
	done       bool      // result holds
	waiting    int       // needs without a result
	dependents []*state  // who counts this one in waiting
	elsewhere  Elsewhere // what Find found, if Fetch takes the place of Run

	status   Status
	result   Result
	err      error
	start    time.Time
	duration time.Duration
}

// check walks all that the goals can reach and returns it in graph order, with
// the goals' own states. A graph that could not be run to its end is an error.
func check(goals []*Node) (all, roots []*state, err error) {
	w := &walk{states: map[*Node]*state{}, ids: map[string]bool{}}
	for i, g := range goals {
		if g == nil {
			return nil, nil, fmt.Errorf("check the graph: goal %d is nil", i+1)
		}
		s, err := w.visit(g)
		if err != nil {
			return nil, nil, fmt.Errorf("check the graph: %w", err)
		}
		roots = append(roots, s)
	}
	// Backwards, each node comes before what it needs, so its depth is final
	// when it is passed on.
	for i := len(w.all) - 1; i >= 0; i-- {
		for _, m := range w.all[i].needs {
			m.depth = max(m.depth, w.all[i].depth+1)
		}
	}
	return w.all, roots, nil
}

type walk struct {
	states map[*Node]*state
	ids    map[string]bool
	path   []*Node // from a goal to the node being visited
	all    []*state
}

func (w *walk) visit(n *Node) (*state, error) {
	if s := w.states[n]; s != nil {
		if s.order < 0 { // entered and not left: it is on the path
			return nil, w.cycle(n)
		}
		return s, nil
	}
	if w.ids[n.ID] {
		return nil, fmt.Errorf("two nodes are called %q", n.ID)
	}
	if n.Stage == nil {
		return nil, fmt.Errorf("node %q has no stage", n.ID)
	}
	s := &state{node: n, order: -1}
	w.states[n], w.ids[n.ID] = s, true
	w.path = append(w.path, n)
	for i, m := range n.Needs {
		if m == nil {
			return nil, fmt.Errorf("need %d of node %q is nil", i+1, n.ID)
		}
		need, err := w.visit(m)
		if err != nil {
			return nil, err
		}
		s.needs = append(s.needs, need)
	}
	w.path = w.path[:len(w.path)-1]
	s.order = len(w.all)
	w.all = append(w.all, s)
	return s, nil
}

// cycle names the way round, so that it can be mended: "a needs b needs a".
func (w *walk) cycle(n *Node) error {
	var names []string
	for _, p := range w.path {
		if p == n || names != nil {
			names = append(names, p.ID)
		}
	}
	return errors.New("a cycle: " + strings.Join(append(names, n.ID), " needs "))
}
