package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is a stage that is missing and runs at once, unless told otherwise.
type fake struct {
	find func(context.Context) (Result, bool, error)
	run  func(context.Context, []Result) (Result, error)
}

func (f *fake) Find(ctx context.Context) (Result, bool, error) {
	if f.find == nil {
		return nil, false, nil
	}
	return f.find(ctx)
}

func (f *fake) Run(ctx context.Context, needs []Result) (Result, error) {
	if f.run == nil {
		return nil, nil
	}
	return f.run(ctx, needs)
}

// fakes is a graph under test: nodes with a fake stage each, by ID.
type fakes map[string]*Node

// graph reads lines such as "app: base lib" (app needs base and lib). The kind
// of a node is what precedes a slash in its ID, else "stage".
func graph(text string) fakes {
	g := fakes{}
	get := func(id string) *Node {
		if g[id] == nil {
			kind, _, ok := strings.Cut(id, "/")
			if !ok {
				kind = "stage"
			}
			g[id] = &Node{ID: id, Kind: kind, Stage: &fake{}}
		}
		return g[id]
	}
	for line := range strings.Lines(text) {
		id, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		if id == "" {
			continue
		}
		n := get(id)
		for _, need := range strings.Fields(needs) {
			n.Needs = append(n.Needs, get(need))
		}
	}
	return g
}

func (g fakes) nodes(ids string) []*Node {
	var nodes []*Node
	for _, id := range strings.Fields(ids) {
		if g[id] == nil {
			panic("no node " + id + " in the graph under test")
		}
		nodes = append(nodes, g[id])
	}
	return nodes
}

func (g fakes) stage(id string) *fake { return g[id].Stage.(*fake) }

// found makes look-ups of these nodes hit.
func (g fakes) found(ids string) {
	for _, n := range g.nodes(ids) {
		n.Stage.(*fake).find = func(context.Context) (Result, bool, error) { return n.ID + " found", true, nil }
	}
}

// fails makes the stage return err when it is run.
func (g fakes) fails(id string, err error) {
	g.stage(id).run = func(context.Context, []Result) (Result, error) { return nil, err }
}

// gate makes each node send its ID when it starts, and go on when it is let to.
type gate struct {
	started chan string
	release map[string]chan struct{}
}

func (g fakes) gate(ids string) *gate {
	t := &gate{started: make(chan string, len(g)), release: map[string]chan struct{}{}}
	for _, n := range g.nodes(ids) {
		open := make(chan struct{})
		t.release[n.ID] = open
		n.Stage.(*fake).run = func(context.Context, []Result) (Result, error) {
			t.started <- n.ID
			<-open
			return nil, nil
		}
	}
	return t
}

// running drains the IDs that have started since it was last called, sorted.
// Call it when nothing moves any more (synctest.Wait).
func (t *gate) running() string {
	var ids []string
	for len(t.started) > 0 {
		ids = append(ids, <-t.started)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func (t *gate) open(ids string) {
	for _, id := range strings.Fields(ids) {
		close(t.release[id])
	}
}

// recorder is a sink that keeps all events. It fails the test when it is called
// concurrently.
type recorder struct {
	t      *testing.T
	mu     sync.Mutex
	events []Event
}

func (r *recorder) Event(e Event) {
	if !r.mu.TryLock() {
		r.t.Error("a sink was called concurrently")
		return
	}
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

var kindNames = [...]string{
	EventLookup: "lookup", EventFound: "found", EventMissed: "missed",
	EventStarted: "started", EventDone: "done", EventUnchanged: "unchanged",
	EventFailed: "failed", EventNotRun: "not-run", EventStep: "step",
	EventLog: "log", EventBytes: "bytes", EventNote: "note",
}

// of is the kinds of the events of one node, in order.
func (r *recorder) of(id string) string {
	var kinds []string
	for _, e := range r.events {
		if e.Node.ID == id {
			kinds = append(kinds, kindNames[e.Kind])
		}
	}
	return strings.Join(kinds, " ")
}

// which is the IDs of the nodes with an event of this kind, in order.
func (r *recorder) which(kind EventKind) string {
	var ids []string
	for _, e := range r.events {
		if e.Kind == kind {
			ids = append(ids, e.Node.ID)
		}
	}
	return strings.Join(ids, " ")
}

// statuses is "id=status" of every node of the report, in its order.
func statuses(r *Report) string {
	var all []string
	for _, n := range r.Nodes {
		all = append(all, fmt.Sprintf("%s=%s", n.Node.ID, strings.ReplaceAll(n.Status.String(), " ", "-")))
	}
	return strings.Join(all, " ")
}

func ids(nodes []*Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.ID)
	}
	return strings.Join(all, " ")
}
