package progress

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/engine"
)

var (
	myapp  = &engine.Node{ID: "build myapp", Kind: "build"}
	worker = &engine.Node{ID: "build worker", Kind: "build"}
	latest = &engine.Node{ID: "push latest", Kind: "push"}
)

// at is an event some seconds into a run.
func at(seconds float64, n *engine.Node, e engine.Event) engine.Event {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	e.Time, e.Node = start.Add(time.Duration(seconds*float64(time.Second))), n
	return e
}

func kind(k engine.EventKind) engine.Event { return engine.Event{Kind: k} }
func failed(err error) engine.Event        { return engine.Event{Kind: engine.EventFailed, Err: err} }
func note(text string) engine.Event        { return engine.Event{Kind: engine.EventNote, Text: text} }
func begun(step string) engine.Event       { return engine.Event{Kind: engine.EventStep, Step: step} }
func ended(step string) engine.Event {
	return engine.Event{Kind: engine.EventStep, Step: step, StepDone: true}
}
func output(step, text string) engine.Event {
	return engine.Event{Kind: engine.EventLog, Step: step, Text: text}
}
func moved(step string, current, total int64) engine.Event {
	return engine.Event{Kind: engine.EventBytes, Step: step, Current: current, Total: total}
}

// numbered is "line 1" to "line n".
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

func TestPlain(t *testing.T) {
	boom := errors.New("exit code 1")
	cached, broken := ended("RUN npm ci"), ended("RUN npm ci")
	cached.Cached, broken.Err = true, boom
	stopped := engine.Event{Kind: engine.EventNotRun, Err: errors.New("context canceled")}
	started := at(0, myapp, kind(engine.EventStarted))

	tests := []struct {
		name   string
		events []engine.Event
		want   string
	}{
		{"look-ups are silent", []engine.Event{
			at(0, myapp, kind(engine.EventLookup)),
			at(0, myapp, kind(engine.EventFound)),
			at(0, worker, kind(engine.EventLookup)),
			at(0, worker, kind(engine.EventMissed)),
			at(0, worker, kind(engine.EventNotRun)),
		}, ""},
		{"a stage", []engine.Event{
			at(0, myapp, kind(engine.EventLookup)), at(1, myapp, kind(engine.EventMissed)),
			at(2, myapp, kind(engine.EventStarted)), at(5.25, myapp, kind(engine.EventDone)),
		}, `
[build myapp] done (3.2s)`},
		{"unchanged", []engine.Event{started, at(0.5, myapp, kind(engine.EventUnchanged))}, ``},
		{"cancelled", []engine.Event{started, at(0.5, myapp, stopped)}, `
[build myapp] cancelled (0.5s)`},
		{"cancelled look-up", []engine.Event{at(0, myapp, kind(engine.EventLookup)), at(1, myapp, stopped)}, ""},
		{"steps", []engine.Event{
			started,
			at(0, myapp, begun("RUN npm ci")), at(2, myapp, ended("RUN npm ci")),
			at(2, myapp, cached), at(3, myapp, broken),
			at(4, myapp, begun("RUN npm ci")), at(4.5, myapp, ended("RUN npm ci")),
		}, `
[build myapp] RUN npm ci
[build myapp] RUN npm ci: done (2.0s)
[build myapp] RUN npm ci: cached
[build myapp] RUN npm ci: failed (3.0s)
[build myapp] RUN npm ci
[build myapp] RUN npm ci: done (0.5s)`},
		{"log in pieces", []engine.Event{
			at(0, myapp, begun("RUN a")),
			at(0, myapp, output("RUN a", "one\ntw")), at(0, myapp, output("RUN a", "o\nthree")),
			at(1, myapp, ended("RUN a")),
		}, `
[build myapp] RUN a
[build myapp]   one
[build myapp]   two
[build myapp]   three
[build myapp] RUN a: done (1.0s)`},
		{"a character in pieces", []engine.Event{
			at(0, myapp, output("", "gr\xc3")), at(0, myapp, output("", "\xb6ße\n")),
		}, `
[build myapp] größe`},
		{"an escape sequence in pieces", []engine.Event{
			at(0, myapp, output("", "\x1b[3")), at(0, myapp, output("", "1mred\r")), at(0, myapp, output("", "\n")),
		}, `
[build myapp] red`},
		{"a progress bar", []engine.Event{
			at(0, myapp, output("", "1%\r2%\r")), at(0, myapp, output("", "3%\r")), at(0, myapp, output("", "100%\n")),
		}, `
[build myapp] 100%`},
		{"logs of two steps", []engine.Event{
			at(0, myapp, begun("RUN a")), at(0, myapp, begun("RUN b")),
			at(0, myapp, output("RUN b", "b1\n")), at(0, myapp, output("RUN a", "a1\n")),
			at(0, myapp, output("RUN a", "a2\n")), at(0, myapp, output("RUN b", "b2\n")),
		}, `
[build myapp] RUN a
[build myapp] RUN b
[build myapp]   b1
[build myapp] RUN a
[build myapp]   a1
[build myapp]   a2
[build myapp] RUN b
[build myapp]   b2`},
		{"logs of two nodes", []engine.Event{
			at(0, myapp, begun("RUN a")), at(0, worker, begun("RUN a")),
			at(0, myapp, output("RUN a", "my")), at(0, worker, output("RUN a", "worker\n")), at(0, myapp, output("RUN a", "app\n")),
		}, `
[build myapp] RUN a
[build worker] RUN a
[build worker]   worker
[build myapp]   myapp`},
		{"the end of a log comes before the end of the node", []engine.Event{
			at(0, myapp, kind(engine.EventStarted)), at(0, myapp, output("RUN a", "no line feed")), at(1, myapp, kind(engine.EventDone)),
		}, `
[build myapp] RUN a
[build myapp]   no line feed
[build myapp] done (1.0s)`},
		{"transfers", []engine.Event{
			started, at(0, myapp, moved("layer a", 1<<20, 2<<20)), at(0, myapp, moved("layer b", 5<<20, 5<<20)),
			at(0, myapp, moved("layer a", 2<<20, 2<<20)), at(1, myapp, kind(engine.EventDone)),
		}, `
[build myapp] done (1.0s, 7.0 MiB)`},
		{"a large transfer is announced, once", []engine.Event{
			started, at(0, myapp, moved("copying", 0, 20<<20)), at(1, myapp, moved("copying", 9<<20, 20<<20)),
		}, `
[build myapp] copying: 20.0 MiB`},
		{"a failure", []engine.Event{
			started, at(0, myapp, output("RUN a", "npm ERR!\n")), at(1, myapp, failed(errors.New("Dockerfile:3: exit code 1\n  RUN a"))),
		}, `
[build myapp] RUN a
[build myapp]   npm ERR!
[build myapp] failed (1.0s): Dockerfile:3: exit code 1
[build myapp]     RUN a`},
		{"a cause is told once", []engine.Event{
			started, at(0, worker, kind(engine.EventStarted)), at(1, myapp, failed(boom)), at(2, worker, failed(boom)),
			at(2, latest, failed(errors.New("exit code 1"))),
		}, `
[build myapp] failed (1.0s): exit code 1
[build worker] failed (2.0s): same cause as build myapp
[push latest] failed (0.0s): exit code 1`},
		{"a failure without a cause", []engine.Event{started, at(1, myapp, failed(nil))}, `
[build myapp] failed (1.0s): no cause was given`},
		{"notes", []engine.Event{
			at(0, nil, note("of the run\nin two lines")), at(0, myapp, note("of a\x1b[2J node")), at(0, nil, output("", "dropped")),
		}, `
of the run
in two lines
[build myapp] of a node`},
		{"a name of several lines", []engine.Event{at(0, myapp, begun("RUN <<EOF\n  a\x1b[2J\n  b\nEOF"))}, `
[build myapp] RUN <<EOF a b EOF`},
		{"a step without a name", []engine.Event{at(0, myapp, begun("")), at(0, myapp, output("", "text\n\n")), at(0, myapp, ended(""))}, `
[build myapp] text
[build myapp]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			p := Plain(&b)
			for _, e := range test.events {
				p.Event(e)
			}
			want := strings.TrimPrefix(test.want, "\n")
			if want != "" {
				want += "\n"
			}
			if b.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
			}
		})
	}
}

func TestPlainWithMore(t *testing.T) {
	var b strings.Builder
	p := Plain(&b)
	p.Lookups, p.TimeFormat = true, "15:04:05"
	for _, e := range []engine.Event{
		at(0, myapp, kind(engine.EventLookup)), at(1, myapp, kind(engine.EventFound)),
		at(0, worker, kind(engine.EventLookup)), at(2, worker, kind(engine.EventMissed)),
		at(3, nil, note("of the run\nin two lines")),
	} {
		p.Event(e)
	}
	const want = "00:00:01 [build myapp] found (1.0s)\n00:00:02 [build worker] not there\n00:00:03 of the run\n00:00:03 in two lines\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestFailures(t *testing.T) {
	var b strings.Builder
	f := Failures(&b)
	boom := errors.New("exit code 1\n  3 | RUN npm ci")
	for _, e := range []engine.Event{
		at(0, nil, note("nothing")), at(0, myapp, kind(engine.EventLookup)), at(0, worker, kind(engine.EventFound)),
		at(0, myapp, kind(engine.EventMissed)), at(0, myapp, kind(engine.EventStarted)),
		at(1, myapp, begun("RUN npm ci")), at(1, myapp, output("RUN npm ci", numbered(tailLines+1))), at(1, myapp, note("nothing")),
		at(2, myapp, failed(boom)), at(2, worker, failed(boom)), at(2, latest, kind(engine.EventNotRun)),
	} {
		f.Event(e)
	}
	tail := strings.ReplaceAll(numbered(tailLines+1), "line ", "    line ")
	want := "build myapp: failed (2.0s): exit code 1\n    3 | RUN npm ci\n  the end of the output of RUN npm ci:\n" +
		strings.TrimPrefix(tail, "    line 1\n") + "build worker: failed (0.0s): same cause as build myapp\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	if len(f.records) > 0 {
		t.Errorf("the log still knows %v", f.records)
	}
}

func TestALineWithoutEndIsNotKeptForEver(t *testing.T) {
	var b strings.Builder
	p := Plain(&b)
	for range 100 {
		p.Event(at(0, myapp, output("", strings.Repeat("x", 1000))))
	}
	if got := strings.Count(b.String(), "x"); got < 100_000-maxPartial {
		t.Errorf("only %d bytes were written", got)
	}
	if kept := len(p.records[myapp].steps[0].partial); kept > maxPartial {
		t.Errorf("%d bytes are kept", kept)
	}
}

func TestEndedNodesAreForgotten(t *testing.T) {
	p, s := Plain(&strings.Builder{}), Terminal(&strings.Builder{}, small)
	defer s.Close()
	for _, e := range []engine.Event{
		at(0, myapp, kind(engine.EventLookup)), at(0, myapp, kind(engine.EventMissed)), at(0, myapp, kind(engine.EventStarted)),
		at(0, myapp, output("RUN a", "text\n")), at(0, myapp, kind(engine.EventDone)),
		at(0, worker, kind(engine.EventLookup)), at(0, worker, kind(engine.EventFound)),
	} {
		p.Event(e)
		s.Event(e)
	}
	if len(p.records)+len(p.last) > 0 {
		t.Errorf("the log still knows %v %v", p.records, p.last)
	}
	if len(s.records)+len(s.running)+len(s.looking) > 0 {
		t.Errorf("the screen still knows %v %v %v", s.records, s.running, s.looking)
	}
}
