package engine

import (
	"context"
	"time"
)

// EventKind says what an Event tells.
type EventKind int

// The life of a node, in the order in which it can happen, then what a running
// stage tells about its own work. A node that was Busy is looked up, and perhaps
// started, once more.
const (
	EventLookup    EventKind = iota // Find was called
	EventFound                      // Find found the result; the stage and all under it is skipped
	EventMissed                     // Find found nothing; the needs are next
	EventStarted                    // Run was called
	EventDone                       // Run returned a result
	EventUnchanged                  // Run returned, having had nothing to write
	EventFailed                     // Find or Run returned an error (Err)
	EventNotRun                     // something it needs failed, or the run was stopped; with Err, stopped during Find or Run
	EventStep                       // a step of the stage began or ended (Step, StepDone, Cached, Err)
	EventLog                        // output of a step (Step, Text)
	EventBytes                      // a transfer moved on (Step, Current, Total); it is over at Current == Total
	EventNote                       // something people should read (Text), Node may be nil
)

// Event is one thing that happened. Sinks get events one at a time.
type Event struct {
	Time     time.Time
	Kind     EventKind
	Node     *Node
	Step     string // name of a step or transfer, unique within the stage
	StepDone bool
	Cached   bool   // the step came from the builder's cache
	Text     string // EventLog: raw output, may hold several or partial lines
	Current  int64  // bytes
	Total    int64  // bytes; 0 when not known
	Err      error
}

// Sink takes events: a terminal, a plain log, JSON, a trace. Event must not
// block for long, as the run waits for it, nor call Emit; it is never called
// concurrently.
type Sink interface{ Event(Event) }

type emitKey struct{}

// Emit tells the sinks of the run that ctx belongs to; the engine fills in Time
// and Node. Outside a run it does nothing.
func Emit(ctx context.Context, e Event) {
	if emit, ok := ctx.Value(emitKey{}).(func(Event)); ok {
		emit(e)
	}
}
