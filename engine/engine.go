// Package engine runs a graph of content-addressed stages: it asks each goal
// for its result before it looks at what the goal needs, runs what is missing,
// deepest first, and tells sinks what happens.
//
// It must never know what a stage does: no registry, no BuildKit, no chart, no
// werf.yaml. It imports the standard library and golang.org/x/sync only.
package engine

import "context"

// Result is what a stage found or made. The engine only carries it to the
// stages that need it; what is in it is between those stages.
type Result any

// Stage is the work of one node. Behaviour beyond it is found by type assertion
// (see Unchanged). Errors are shown after the ID of the node, so they need not
// repeat it.
type Stage interface {
	// Find looks for a result that already exists. found is false, with no
	// error, when there is none and the stage has to run.
	Find(ctx context.Context) (result Result, found bool, err error)
	// Run makes the result from the results of the node's needs, given in the
	// order of Node.Needs.
	Run(ctx context.Context, needs []Result) (Result, error)
}

// Busy is the error of a Run that did nothing since somebody else, another
// process, is making the result. The engine calls Wait, which counts for no limit
// of Options and ends early when the run fails or is cancelled; then it calls
// Find again, and Run if there still is nothing.
type Busy struct {
	Wait func(ctx context.Context) error
}

func (*Busy) Error() string { return "somebody else is making it" }

// Unchanged is what a Result may implement to say that Run found everything as
// it should be and wrote nothing: an alias that already pointed at its target.
type Unchanged interface{ Unchanged() bool }

// Elsewhere is what a Result of Find may implement to say that the result exists,
// and not where it has to be: Fetch brings it there in the place of Run, and what
// the node needs is not asked for.
type Elsewhere interface {
	Fetch(ctx context.Context) (Result, error)
}

// Node is a stage with its place in the graph. Nodes are compared by identity:
// a node that two others need is run once.
type Node struct {
	ID    string // unique within a run, for people: "build myapp"
	Kind  string // "build", "tag", "chart"…; limits are set by kind. "" only orders others, and is not shown
	Key   Key    // zero for a stage that is not content-addressed (an alias)
	Needs []*Node
	Stage Stage
}
