package progress

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway/engine"
)

func small() (cols, rows int) { return 40, 6 }

// screen is a terminal of endless height: what it shows after the sequences that
// Screen writes. Any other sequence fails the test.
type screen struct {
	t      *testing.T
	mu     sync.Mutex
	lines  []string
	row    int
	writes int
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	text := string(p)
	for text != "" {
		switch i := strings.IndexAny(text, "\x1b\r\n"); {
		case i != 0:
			if i < 0 {
				i = len(text)
			}
			s.at(s.row)
			s.lines[s.row] += text[:i]
			text = text[i:]
		case text[0] == '\n':
			s.at(s.row)
			s.row++
			text = text[1:]
		case text[0] == '\r':
			text = text[1:] // only ever followed by an erasure
		default:
			text = s.sequence(text)
		}
	}
	return len(p), nil
}

func (s *screen) at(row int) {
	for len(s.lines) <= row {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) sequence(text string) string {
	for _, mode := range []string{"\x1b[?7l", "\x1b[?7h"} {
		if rest, ok := strings.CutPrefix(text, mode); ok {
			return rest
		}
	}
	if rest, ok := strings.CutPrefix(text, "\x1b[J"); ok {
		s.lines = s.lines[:min(s.row, len(s.lines))]
		return rest
	}
	up, rest, _ := strings.Cut(strings.TrimPrefix(text, "\x1b["), "A")
	n, err := strconv.Atoi(up)
	if err != nil || n > s.row {
		s.t.Fatalf("unexpected sequence %q in row %d", text, s.row)
	}
	s.row -= n
	return rest
}

func (s *screen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// show gives events to a new Screen, the first of them drawn at once, the rest
// together; it returns what is shown then and what stays after Close.
func show(t *testing.T, size func() (int, int), events ...engine.Event) (live, left string) {
	t.Helper()
	term := &screen{t: t}
	s := Terminal(term, size)
	for _, e := range events {
		s.Event(e)
	}
	s.mu.Lock()
	s.draw(events[len(events)-1].Time, true)
	s.mu.Unlock()
	live = term.text()
	s.Close()
	return live, term.text()
}

func TestTerminal(t *testing.T) {
	boom := errors.New("Dockerfile:3: exit code 1\nRUN npm ci")
	broken := ended("RUN npm ci")
	broken.Err = boom
	wideScreen := func() (int, int) { return 0, 0 } // not known
	started := at(0, myapp, kind(engine.EventStarted))
	tests := []struct {
		name   string
		size   func() (int, int)
		events []engine.Event
		live   string
		left   string
	}{
		{"look-ups", wideScreen, []engine.Event{
			at(0, myapp, kind(engine.EventLookup)), at(0, worker, kind(engine.EventLookup)), at(0, latest, kind(engine.EventLookup)),
			at(1, myapp, kind(engine.EventFound)), at(2, worker, kind(engine.EventMissed)),
		}, `
2.0s  look-ups 2/3, found 1, running 0, done 0, failed 0`, ``},
		{"running", wideScreen, []engine.Event{
			started, at(1, myapp, begun("FROM node")), at(2, myapp, ended("FROM node")), at(2, myapp, begun("RUN npm ci")),
			at(2, worker, kind(engine.EventStarted)),
			at(2, latest, kind(engine.EventStarted)), at(3, latest, moved("pushing", 12_897_485, 47_815_066)),
		}, `
3.0s  look-ups 0/0, found 0, running 3, done 0, failed 0
  3.0s  build myapp: RUN npm ci
  1.0s  build worker
  1.0s  push latest: pushing 12.3/45.6 MiB`, ``},
		{"several steps at once", wideScreen, []engine.Event{
			started, at(0, myapp, begun("RUN a")), at(0, myapp, begun("RUN b")), at(0, myapp, begun("RUN c")), at(0, myapp, ended("RUN c")),
			at(0, myapp, output("", "a log of the node as a whole\n")), at(0, myapp, moved("layer", 5, 5)),
		}, `
0.0s  look-ups 0/0, found 0, running 1, done 0, failed 0
  0.0s  build myapp: RUN b (and 1 more)`, ``},
		{"finished nodes stay", wideScreen, []engine.Event{
			started, at(1, worker, kind(engine.EventStarted)), at(2, myapp, moved("layer", 5<<20, 5<<20)), at(2, myapp, kind(engine.EventDone)),
			at(3, latest, kind(engine.EventStarted)), at(3, latest, kind(engine.EventUnchanged)), at(3, nil, note("a note\x1b[2J")),
			at(3, worker, note("another")),
		}, `
build myapp: done (2.0s, 5.0 MiB)
a note
build worker: another
3.0s  look-ups 0/0, found 0, running 1, done 2, failed 0
  2.0s  build worker`, `
build myapp: done (2.0s, 5.0 MiB)
a note
build worker: another`},
		{"too many for the rows", small, []engine.Event{
			started, at(0, worker, kind(engine.EventStarted)), at(0, latest, kind(engine.EventStarted)),
			at(0, &engine.Node{ID: "4"}, kind(engine.EventStarted)), at(0, &engine.Node{ID: "5"}, kind(engine.EventStarted)),
		}, `
0.0s  look-ups 0/0, found 0, running 5…
  0.0s  build myapp
  0.0s  build worker
  0.0s  push latest
        and 2 more`, ``},
		{"just enough rows", small, []engine.Event{
			started, at(0, worker, kind(engine.EventStarted)), at(0, latest, kind(engine.EventStarted)),
			at(0, &engine.Node{ID: "4"}, kind(engine.EventStarted)),
		}, `
0.0s  look-ups 0/0, found 0, running 4…
  0.0s  build myapp
  0.0s  build worker
  0.0s  push latest
  0.0s  4`, ``},
		{"one row", func() (int, int) { return 10, 1 }, []engine.Event{started}, `
0.0s  lo…`, ``},
		{"lines are cut by columns", func() (int, int) { return 25, 0 }, []engine.Event{
			started, at(0, myapp, begun("日本語\x1b[2J\nRUN")),
		}, `
0.0s  look-ups 0/0, fou…
  0.0s  build myapp: 日…`, ``},
		{"a failure shows the end of the log", wideScreen, []engine.Event{
			started, at(0, myapp, begun("RUN npm ci")), at(0, myapp, begun("RUN other")),
			at(0, myapp, output("RUN npm ci", numbered(25)+"\x1b[2Jlast")), at(0, myapp, output("RUN other", "other\n")),
			at(1, myapp, broken), at(1, myapp, failed(boom)),
		}, `
build myapp: failed (1.0s): Dockerfile:3: exit code 1
  RUN npm ci
  the end of the output of RUN npm ci:
` + indent(numbered(25), 6) + `    last
1.0s  look-ups 0/0, found 0, running 0, done 0, failed 1`, `
build myapp: failed (1.0s): Dockerfile:3: exit code 1
  RUN npm ci
  the end of the output of RUN npm ci:
` + indent(numbered(25), 6) + `    last`},
		{"no step is known to have failed", wideScreen, []engine.Event{
			started, at(0, myapp, output("", "first\n")), at(0, myapp, begun("RUN silent")), at(1, myapp, failed(errors.New("no"))),
			at(1, worker, failed(errors.New("no output"))),
		}, `
build myapp: failed (1.0s): no
  the end of the output:
    first
build worker: failed (0.0s): no output
1.0s  look-ups 0/0, found 0, running 0, done 0, failed 2`, `
build myapp: failed (1.0s): no
  the end of the output:
    first
build worker: failed (0.0s): no output`},
		{"a cause is told once", wideScreen, []engine.Event{
			started, at(1, myapp, failed(boom)), at(1, worker, failed(fmt.Errorf("x: %w", boom))), at(1, latest, failed(boom)),
		}, `
build myapp: failed (1.0s): Dockerfile:3: exit code 1
  RUN npm ci
build worker: failed (0.0s): x: Dockerfile:3: exit code 1
  RUN npm ci
push latest: failed (0.0s): same cause as build myapp
1.0s  look-ups 0/0, found 0, running 0, done 0, failed 3`, `
build myapp: failed (1.0s): Dockerfile:3: exit code 1
  RUN npm ci
build worker: failed (0.0s): x: Dockerfile:3: exit code 1
  RUN npm ci
push latest: failed (0.0s): same cause as build myapp`},
		{"not run is for the summary", wideScreen, []engine.Event{
			at(0, myapp, kind(engine.EventLookup)), at(0, myapp, kind(engine.EventNotRun)),
		}, `
0.0s  look-ups 1/1, found 0, running 0, done 0, failed 0`, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // whose clock stands still
				live, left := show(t, test.size, test.events...)
				if want := strings.TrimPrefix(test.live, "\n"); live != want {
					t.Errorf("live:\n%s\nwant:\n%s", live, want)
				}
				if want := strings.TrimPrefix(test.left, "\n"); left != want {
					t.Errorf("left:\n%s\nwant:\n%s", left, want)
				}
			})
		})
	}
}

// indent is the lines after the first skip, as a tail shows them.
func indent(text string, skip int) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")[skip:]
	return "    " + strings.Join(lines, "    ") + "\n"
}

func TestTerminalDrawsTenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term := &screen{t: t}
		s := Terminal(term, small)
		now := func(e engine.Event) engine.Event { e.Node, e.Time = myapp, time.Now(); return e }
		s.Event(now(kind(engine.EventStarted)))
		if !strings.Contains(term.text(), "build myapp") {
			t.Errorf("the first event is not drawn: %q", term.text())
		}
		for range 1000 {
			s.Event(now(begun("RUN a")))
			s.Event(now(output("RUN a", "text\n")))
		}
		if term.count() != 1 {
			t.Errorf("%d writes, want 1", term.count())
		}
		time.Sleep(2*time.Second + redraw/2)
		synctest.Wait()
		if term.count() != 21 || !strings.Contains(term.text(), "2.0s  build myapp: RUN a") {
			t.Errorf("%d writes after two seconds, want 21; shown:\n%s", term.count(), term.text())
		}
		s.Close()
		if term.text() != "" {
			t.Errorf("not erased: %q", term.text())
		}
		writes := term.count()
		s.Close()
		s.Event(now(note("too late")))
		time.Sleep(time.Minute)
		if term.count() != writes {
			t.Errorf("written to after Close: %q", term.text())
		}
	}) // which fails if a goroutine is left
}

func TestTerminalWithoutEvents(t *testing.T) {
	term := &screen{t: t}
	Terminal(term, small).Close()
	if term.count() != 0 {
		t.Errorf("written: %q", term.text())
	}
}

// stage runs for a second and fails if err is set.
type stage struct{ err error }

func (stage) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

func (s stage) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	engine.Emit(ctx, begun("RUN a"))
	time.Sleep(time.Second) // of the test's own clock
	engine.Emit(ctx, output("RUN a", "text"))
	return nil, s.err
}

// TestSinksOfARun lets the engine drive both sinks.
func TestSinksOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &engine.Node{ID: "build base", Kind: "build", Stage: stage{}}
		app := &engine.Node{ID: "build app", Kind: "build", Needs: []*engine.Node{base}, Stage: stage{err: errors.New("exit code 1")}}
		tag := &engine.Node{ID: "tag app", Kind: "tag", Needs: []*engine.Node{app}, Stage: stage{}}
		term, plain, summary := &screen{t: t}, &strings.Builder{}, &strings.Builder{}
		s := Terminal(term, small)
		report, err := engine.Run(t.Context(), []*engine.Node{tag}, engine.Options{Sinks: []engine.Sink{s, Plain(plain)}})
		s.Close()
		if err == nil || err.Error() != "build app: exit code 1" {
			t.Errorf("error: %v", err)
		}
		if err := Summary(summary, report, "build"); err != nil {
			t.Error(err)
		}
		for _, c := range []struct{ what, got, want string }{
			{"terminal", term.text(), `build base: done (1.0s)
build app: failed (1.0s): exit code 1
  the end of the output of RUN a:
    text`},
			{"log", plain.String(), `[build base] RUN a
[build base]   text
[build base] done (1.0s)
[build app] RUN a
[build app]   text
[build app] failed (1.0s): exit code 1
`},
			{"summary", summary.String(), `Failed after 2.0s: 1 stage made, 1 failed, 1 not run.
Made:
  build base (1.0s)
Failed:
  build app
Not run:
  tag app (needs build app)
`},
		} {
			if c.got != c.want {
				t.Errorf("%s:\n%s\nwant:\n%s", c.what, c.got, c.want)
			}
		}
	})
}
