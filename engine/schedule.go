// Graph execution: one goroutine owns all state, one goroutine per call of Find
// or Run reports back to it.

package engine

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// run is the scheduler.
type run struct {
	ctx    context.Context
	o      Options
	events *emitter
	all    []*state // in graph order

	lookups []*state // wait for Find, in the order they were asked for
	finding int      // calls of Find in flight
	busy    int      // calls of Find, Run and Busy.Wait in flight
	kinds   []*kind  // in graph order, so that a run can be repeated

	// outcomes has room for one outcome of each node, so that a call which
	// outlives the run ends all the same.
	outcomes  chan outcome
	halted    bool // start nothing more
	cancelled bool // ctx ended while the run was going on

	waiting   context.Context // of calls of Busy.Wait
	stopWaits context.CancelFunc
}

// call is what a stage is asked to do.
type call int

const (
	callFind call = iota
	callRun
	callWait // Busy.Wait
)

// outcome is what a call came to.
type outcome struct {
	state     *state
	call      call
	result    Result
	found     bool
	unchanged bool
	err       error
}

func newRun(ctx context.Context, all []*state, o Options) *run {
	r := &run{
		ctx:      ctx,
		o:        o,
		events:   &emitter{sinks: o.Sinks},
		all:      all,
		outcomes: make(chan outcome, len(all)),
	}
	r.waiting, r.stopWaits = context.WithCancel(ctx)
	kinds := map[string]*kind{}
	for _, s := range all {
		k := kinds[s.node.Kind]
		if k == nil {
			k = &kind{limit: o.limit(s.node.Kind)}
			kinds[s.node.Kind] = k
			r.kinds = append(r.kinds, k)
		}
		s.kind = k
	}
	return r
}

// loop goes on until nothing is in flight and nothing may be started.
func (r *run) loop() {
	cancelled := r.ctx.Done()
	var grace <-chan time.Time
	for {
		// Take all that is already known before choosing what to start.
		for len(r.outcomes) > 0 {
			r.handle(<-r.outcomes)
		}
		r.dispatch()
		if r.busy == 0 {
			return
		}
		select {
		case out := <-r.outcomes:
			r.handle(out)
		case <-cancelled:
			cancelled = nil
			grace = time.After(r.o.Grace)
		case <-grace:
			for len(r.outcomes) > 0 {
				r.handle(<-r.outcomes)
			}
			return
		}
	}
}

// dispatch starts whatever the limits allow.
func (r *run) dispatch() {
	if r.ctx.Err() != nil {
		r.halted, r.cancelled = true, true
	}
	if r.halted {
		return
	}
	for len(r.lookups) > 0 && r.finding < r.o.Lookups {
		s := r.lookups[0]
		r.lookups = r.lookups[1:]
		r.finding++
		r.events.emit(s.node, Event{Kind: EventLookup})
		r.start(r.ctx, s, callFind, func(ctx context.Context) (out outcome) {
			out.result, out.found, out.err = s.node.Stage.Find(ctx)
			return out
		})
	}
	for _, k := range r.kinds {
		for len(k.ready) > 0 && k.running < k.limit {
			s := heap.Pop(&k.ready).(*state)
			k.running++
			needs := make([]Result, len(s.needs)) // without results if s is elsewhere
			for i, m := range s.needs {
				needs[i] = m.result
			}
			r.events.emit(s.node, Event{Kind: EventStarted})
			r.start(r.ctx, s, callRun, func(ctx context.Context) (out outcome) {
				if s.elsewhere != nil {
					out.result, out.err = s.elsewhere.Fetch(ctx)
				} else {
					out.result, out.err = s.node.Stage.Run(ctx, needs)
				}
				if u, ok := out.result.(Unchanged); ok && out.err == nil {
					out.unchanged = u.Unchanged()
				}
				return out
			})
		}
	}
}

// start makes one call in a goroutine of its own.
func (r *run) start(ctx context.Context, s *state, c call, do func(context.Context) outcome) {
	s.busy, s.start = true, time.Now()
	r.busy++
	ctx = r.events.context(ctx, s.node)
	go func() {
		// Stands if call neither returns nor panics: runtime.Goexit.
		out := outcome{err: errors.New("the stage ended its own goroutine")}
		defer func() {
			if v := recover(); v != nil {
				out = outcome{err: &PanicError{Value: v, Stack: debug.Stack()}}
			}
			out.state, out.call = s, c
			r.outcomes <- out
		}()
		out = do(ctx)
	}()
}

// handle takes in the end of one call.
func (r *run) handle(out outcome) {
	s := out.state
	s.busy, s.duration = false, time.Since(s.start)
	r.busy--
	switch out.call {
	case callFind:
		r.finding--
	case callRun:
		s.kind.running--
	}
	var busy *Busy
	switch {
	case out.err != nil && r.ctx.Err() != nil:
		r.end(s, StatusCancelled, out.err)
	case out.call == callRun && errors.As(out.err, &busy):
		r.start(r.waiting, s, callWait, func(ctx context.Context) (out outcome) {
			out.err = busy.Wait(ctx)
			return out
		})
	case out.call == callWait && r.halted:
		r.end(s, StatusNotRun, nil)
	case out.err != nil:
		r.halted = true
		r.stopWaits()
		r.end(s, StatusFailed, out.err)
	case out.call == callWait:
		r.lookups = append(r.lookups, s)
	case out.call == callFind && !out.found:
		r.missed(s)
	case out.call == callFind && isElsewhere(out.result):
		s.elsewhere = out.result.(Elsewhere)
		r.events.emit(s.node, Event{Kind: EventMissed})
		heap.Push(&s.kind.ready, s)
	default:
		s.result, s.done = out.result, true
		status := StatusFound
		switch {
		case out.unchanged:
			status = StatusUnchanged
		case out.call == callRun:
			status = StatusRan
		}
		r.end(s, status, nil)
		for _, d := range s.dependents {
			if d.waiting--; d.waiting == 0 {
				heap.Push(&d.kind.ready, d)
			}
		}
	}
}

func isElsewhere(result Result) bool {
	_, ok := result.(Elsewhere)
	return ok
}

// visit asks for a node, once however many need it.
func (r *run) visit(s *state) {
	if !s.seen {
		s.seen = true
		r.lookups = append(r.lookups, s)
	}
}

// missed goes on to what the node needs. A halted run does not: the node could
// not run anyway, and the look-ups would be for nothing.
func (r *run) missed(s *state) {
	r.events.emit(s.node, Event{Kind: EventMissed})
	if r.halted {
		return
	}
	for _, m := range s.needs {
		r.visit(m)
		if !m.done {
			s.waiting++
			m.dependents = append(m.dependents, s)
		}
	}
	if s.waiting == 0 {
		heap.Push(&s.kind.ready, s)
	}
}

// end settles a node's status and tells the sinks.
func (r *run) end(s *state, status Status, err error) {
	s.status, s.err = status, err
	r.events.emit(s.node, Event{Kind: endEvents[status], Err: err})
}

var endEvents = [...]EventKind{
	StatusNotRun:    EventNotRun,
	StatusFound:     EventFound,
	StatusRan:       EventDone,
	StatusUnchanged: EventUnchanged,
	StatusFailed:    EventFailed,
	StatusCancelled: EventNotRun,
}

// kind holds the stages of one kind that are ready. The limits are per kind
// only, so the queues of different kinds never wait for each other.
type kind struct {
	limit   int
	running int
	ready   queue
}

// queue is a heap, deepest first: the further from the goals, the more is likely
// to wait for it, and finishing it keeps the most work available (cmd/go orders
// its actions for the same reason). Ties go by graph order.
type queue []*state

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	if q[i].depth != q[j].depth {
		return q[i].depth > q[j].depth
	}
	return q[i].order < q[j].order
}
func (q *queue) Push(x any) { *q = append(*q, x.(*state)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	*q = (*q)[:last]
	return s
}

// PanicError is a panic in a stage, which fails the stage and not the process.
type PanicError struct {
	Value any
	Stack []byte // as runtime/debug.Stack gives it
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap gives the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
