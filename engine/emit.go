package engine

import (
	"context"
	"sync"
	"time"
)

// emitter hands the events of the scheduler and of all stages to the sinks, one
// at a time. The events of one goroutine stay in order, and so do those of one
// node: a stage runs between the scheduler's EventStarted and EventDone.
type emitter struct {
	mu    sync.Mutex
	sinks []Sink
}

func (e *emitter) emit(n *Node, ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sinks) == 0 {
		return
	}
	ev.Node, ev.Time = n, time.Now() // under the lock, so that times never run back
	for _, s := range e.sinks {
		s.Event(ev)
	}
}

// close drops the sinks: a stage that outlives its run must not write into
// whatever they have become.
func (e *emitter) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sinks = nil
}

// context is ctx with the emitter of one node, which Emit looks for.
func (e *emitter) context(ctx context.Context, n *Node) context.Context {
	return context.WithValue(ctx, emitKey{}, func(ev Event) { e.emit(n, ev) })
}
