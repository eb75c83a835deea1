package engine

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Defaults of Options.
const (
	DefaultParallel = 5
	DefaultLookups  = 128
	DefaultGrace    = time.Second
)

// Options of a run. The zero value works.
type Options struct {
	// Parallel is how many stages of one kind run at once where Limits does not
	// say; 0 is DefaultParallel, less than 0 is no limit.
	Parallel int
	// Limits is Parallel for single kinds. A kind at its limit holds up no other.
	Limits map[string]int
	// Lookups is how many calls of Find are in flight at once; 0 is DefaultLookups.
	Lookups int
	// Grace is how long a cancelled run waits for stages that do not heed their
	// context; 0 is DefaultGrace.
	Grace time.Duration
	// Sinks get every event, each in the order given here.
	Sinks []Sink
}

func (o Options) withDefaults() Options {
	if o.Parallel == 0 {
		o.Parallel = DefaultParallel
	}
	if o.Lookups <= 0 {
		o.Lookups = DefaultLookups
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	return o
}

// limit is how many stages of the kind may run at once.
func (o Options) limit(kind string) int {
	n := o.Limits[kind]
	if n == 0 {
		n = o.Parallel
	}
	if n < 0 {
		n = math.MaxInt
	}
	return n
}

// Run brings about the results of the goals. Each goal is looked up first; what
// a goal needs is looked up only when the goal itself is missing, and so on
// down. What is missing runs when all its needs have results.
//
// After the first failure nothing new is started, and what is running is let
// finish: its results are content-addressed, so the next run will find them.
// When ctx is cancelled the stages see it through their own context, and Run
// returns when they have, or after Options.Grace.
//
// A graph with a cycle, a nil node, a node without a stage or two nodes of one
// ID is an error before anything runs, with a nil Report. After that the Report
// is never nil, and the error is nil or a *RunError.
func Run(ctx context.Context, goals []*Node, o Options) (*Report, error) {
	all, roots, err := check(goals)
	if err != nil {
		return nil, err
	}
	r := newRun(ctx, all, o.withDefaults())
	defer r.stopWaits()
	start := time.Now()
	for _, s := range roots {
		r.visit(s)
	}
	r.loop()
	r.settle()
	report := newReport(all)
	report.Start, report.Duration = start, time.Since(start)
	return report, r.error(report)
}

// settle ends what the loop left open: calls that outlived the grace, then what
// was never run. Stages that still go on are no longer heard after it.
func (r *run) settle() {
	for _, s := range r.all {
		switch {
		case s.busy:
			s.duration = time.Since(s.start)
			r.end(s, StatusCancelled, fmt.Errorf("did not stop within %v of being cancelled", r.o.Grace))
		case s.seen && s.status == StatusNotRun:
			r.end(s, StatusNotRun, nil)
		}
	}
	r.events.close()
}

// error is nil when every node that was asked for has its result, even if the
// run was cancelled at its very end.
func (r *run) error(report *Report) error {
	complete := true
	for _, n := range report.Nodes {
		complete = complete && n.Status.OK()
	}
	if complete {
		return nil
	}
	e := &RunError{Failures: report.Failures()}
	if r.cancelled {
		e.Cause = context.Cause(r.ctx)
	}
	return e
}
