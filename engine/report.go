package engine

import (
	"slices"
	"time"
)

// Status is what became of a node.
type Status int

// The zero Status is that of a node which was asked for and never ran.
const (
	StatusNotRun    Status = iota // a need failed, or the run was stopped first
	StatusFound                   // Find had the result
	StatusRan                     // Run made the result
	StatusUnchanged               // Run had nothing to write
	StatusFailed                  // Find or Run returned an error
	StatusCancelled               // the run was cancelled during Find or Run
)

// OK tells whether a node of this status has a result.
func (s Status) OK() bool {
	return s == StatusFound || s == StatusRan || s == StatusUnchanged
}

// String is the status for people and for JSON.
func (s Status) String() string {
	switch s {
	case StatusNotRun:
		return "not run"
	case StatusFound:
		return "found"
	case StatusRan:
		return "ran"
	case StatusUnchanged:
		return "unchanged"
	case StatusFailed:
		return "failed"
	case StatusCancelled:
		return "cancelled"
	}
	return "unknown"
}

// Report is what a run came to.
type Report struct {
	Start    time.Time
	Duration time.Duration
	// Nodes has every node that was asked for, in graph order: depth-first from
	// the goals, needs first. What is under a node that was found is not in it.
	Nodes []NodeReport

	index map[*Node]int
}

// NodeReport is what became of one node.
type NodeReport struct {
	Node   *Node
	Status Status
	// Start and Duration are those of Run if it was called, else of Find; zero
	// if neither was.
	Start    time.Time
	Duration time.Duration
	Err      error  // of StatusFailed and StatusCancelled
	Result   Result // nil unless Status.OK
}

func newReport(all []*state) *Report {
	r := &Report{index: make(map[*Node]int, len(all))}
	for _, s := range all {
		if !s.seen {
			continue
		}
		r.index[s.node] = len(r.Nodes)
		r.Nodes = append(r.Nodes, NodeReport{s.node, s.status, s.start, s.duration, s.err, s.result})
	}
	return r
}

// Result is the result of a node, nil if it has none.
func (r *Report) Result(n *Node) Result {
	if i, ok := r.index[n]; ok {
		return r.Nodes[i].Result
	}
	return nil
}

// Counts is the number of nodes by kind and status.
func (r *Report) Counts() map[string]map[Status]int {
	counts := map[string]map[Status]int{}
	for _, n := range r.Nodes {
		if counts[n.Node.Kind] == nil {
			counts[n.Node.Kind] = map[Status]int{}
		}
		counts[n.Node.Kind][n.Status]++
	}
	return counts
}

// Failures is the root causes, each once, in graph order.
func (r *Report) Failures() []Failure {
	var failures []Failure
	for _, n := range r.Nodes {
		if n.Status != StatusFailed {
			continue
		}
		i := slices.IndexFunc(failures, func(f Failure) bool { return SameCause(f.Err, n.Err) })
		if i >= 0 {
			failures[i].Also = append(failures[i].Also, n.Node)
			continue
		}
		failures = append(failures, Failure{Node: n.Node, Err: n.Err})
	}
	for i := range failures {
		failures[i].NotRun = r.notRun(failures[i])
	}
	return failures
}

// notRun is what needs, at any distance, a node that failed for this cause.
// Needs come first in Nodes, so one pass reaches all.
func (r *Report) notRun(f Failure) []*Node {
	held := map[*Node]bool{f.Node: true}
	for _, n := range f.Also {
		held[n] = true
	}
	var nodes []*Node
	for _, n := range r.Nodes {
		if n.Status == StatusNotRun && slices.ContainsFunc(n.Node.Needs, func(m *Node) bool { return held[m] }) {
			held[n.Node] = true
			nodes = append(nodes, n.Node)
		}
	}
	return nodes
}
