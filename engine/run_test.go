package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

func TestGraphShapes(t *testing.T) {
	tests := []struct {
		name   string
		graph  string
		goals  string
		found  string
		want   string // statuses, in the order of the report
		lookup string // look-ups, in order (breadth-first: nothing runs meanwhile)
	}{
		{"no goals", "", "", "", "", ""},
		{"one", "a", "a", "", "a=ran", "a"},
		{"one found", "a", "a", "a", "a=found", "a"},
		{"chain", "a: b\nb: c", "a", "", "c=ran b=ran a=ran", "a b c"},
		{"found before descending", "a: b\nb: c", "a", "a", "a=found", "a"},
		{"found half way", "a: b\nb: c", "a", "b", "b=found a=ran", "a b"},
		{"diamond", "a: b c\nb: d\nc: d", "a", "", "d=ran b=ran c=ran a=ran", "a b c d"},
		{"diamond, one arm found", "a: b c\nb: d\nc: d", "a", "b", "d=ran b=found c=ran a=ran", "a b c d"},
		{"wide", "a: b c d e", "a", "c", "b=ran c=found d=ran e=ran a=ran", "a b c d e"},
		{"goals that share", "a: c\nb: c", "a b", "", "c=ran a=ran b=ran", "a b c"},
		{"goal that another needs", "a: b", "a b", "", "b=ran a=ran", "a b"},
		{"goal that another needs, first", "a: b", "b a", "", "b=ran a=ran", "b a"},
		{"a goal under a found goal", "a: b", "a b", "a", "b=ran a=found", "a b"},
		{"a goal twice", "a", "a a", "", "a=ran", "a"},
		{"a need twice", "a: b b", "a", "", "b=ran a=ran", "a b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := graph(test.graph)
			g.found(test.found)
			rec := &recorder{t: t}
			// One look-up at a time: then their order is determined.
			report, err := Run(t.Context(), g.nodes(test.goals), Options{Lookups: 1, Sinks: []Sink{rec}})
			if err != nil {
				t.Fatal(err)
			}
			if got := statuses(report); got != test.want {
				t.Errorf("statuses:\n got %s\nwant %s", got, test.want)
			}
			if got := rec.which(EventLookup); got != test.lookup {
				t.Errorf("look-ups: got %q, want %q", got, test.lookup)
			}
		})
	}
}

func TestResultsReachWhatNeedsThemInOrder(t *testing.T) {
	g := graph("a: b c b d")
	g.found("c")
	for _, id := range []string{"b", "d"} {
		g.stage(id).run = func(context.Context, []Result) (Result, error) { return id + " made", nil }
	}
	g.stage("a").run = func(_ context.Context, needs []Result) (Result, error) { return fmt.Sprint(needs), nil }
	report, err := Run(t.Context(), g.nodes("a"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := report.Result(g["a"]), "[b made c found b made d made]"; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := report.Result(&Node{}); got != nil {
		t.Errorf("result of a node that is not in the graph: %v", got)
	}
}

func TestGraphErrors(t *testing.T) {
	tests := []struct {
		name  string
		goals func() []*Node
		want  string
	}{
		{"nil goal", func() []*Node { return []*Node{nil} }, "goal 1 is nil"},
		{"nil need", func() []*Node {
			g := graph("a: b")
			g["b"].Needs = []*Node{nil}
			return g.nodes("a")
		}, `need 1 of node "b" is nil`},
		{"no stage", func() []*Node {
			g := graph("a: b")
			g["b"].Stage = nil
			return g.nodes("a")
		}, `node "b" has no stage`},
		{"two of one ID", func() []*Node {
			g := graph("a: b c")
			g["c"].ID = "b"
			return g.nodes("a")
		}, `two nodes are called "b"`},
		{"needs itself", func() []*Node { return graph("a: a").nodes("a") }, "a cycle: a needs a"},
		{"cycle", func() []*Node { return graph("a: b\nb: c\nc: d\nd: b").nodes("a") }, "a cycle: b needs c needs d needs b"},
		{"cycle under a found goal", func() []*Node {
			g := graph("a: b\nb: b")
			g.found("a")
			return g.nodes("a")
		}, "a cycle: b needs b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rec := &recorder{t: t}
			report, err := Run(t.Context(), test.goals(), Options{Sinks: []Sink{rec}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if report != nil || len(rec.events) > 0 {
				t.Errorf("something ran: report %v, events %v", report, rec.events)
			}
		})
	}
}

// TestLimits follows the running stages step by step: each step opens some and
// says what must then have started.
func TestLimits(t *testing.T) {
	type step struct{ open, started string }
	tests := []struct {
		name    string
		graph   string
		goals   string
		options Options
		steps   []step
	}{
		{
			"default of five",
			"", "a b c d e f g", Options{},
			[]step{{"", "a b c d e"}, {"c", "f"}, {"a", "g"}, {"b d e f g", ""}},
		},
		{
			"parallel",
			"", "a b c", Options{Parallel: 1},
			[]step{{"", "a"}, {"a", "b"}, {"b", "c"}, {"c", ""}},
		},
		{
			"no limit",
			"", "a b c d e f", Options{Parallel: -1},
			[]step{{"", "a b c d e f"}, {"a b c d e f", ""}},
		},
		{
			"a kind at its limit holds up no other",
			"", "build/a build/b push/a push/b push/c", Options{Parallel: 2, Limits: map[string]int{"build": 1}},
			[]step{{"", "build/a push/a push/b"}, {"push/a", "push/c"}, {"build/a", "build/b"}, {"build/b push/b push/c", ""}},
		},
		{
			"a kind without a limit",
			"", "build/a build/b push/a push/b", Options{Parallel: 1, Limits: map[string]int{"push": -1}},
			[]step{{"", "build/a push/a push/b"}, {"build/a push/a push/b", "build/b"}, {"build/b", ""}},
		},
		{
			"deepest first, then graph order",
			"z: y\ny: x\nc: b", "hold a c z", Options{Parallel: 1},
			[]step{{"", "hold"}, {"hold", "x"}, {"x", "b"}, {"b", "y"}, {"y", "a"}, {"a", "c"}, {"c", "z"}, {"z", ""}},
		},
		{
			"ties by the order of the goals",
			"a: b d\nb: c\ne: f", "hold e a", Options{Parallel: 1},
			[]step{{"", "hold"}, {"hold", "c"}, {"c", "f"}, {"f", "b"}, {"b", "d"}, {"d", "e"}, {"e", "a"}, {"a", ""}},
		},
		{
			"depth is the longest way, under another goal",
			"a: x y\nb: c\nc: y", "hold a b", Options{Parallel: 1},
			[]step{{"", "hold"}, {"hold", "y"}, {"y", "x"}, {"x", "c"}, {"c", "a"}, {"a", "b"}, {"b", ""}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := graph(test.graph + "\n" + strings.ReplaceAll(test.goals, " ", "\n"))
				var all []string
				for id := range g {
					all = append(all, id)
				}
				gate := g.gate(strings.Join(all, " "))
				test.options.Lookups = 1 // so that what is known at each choice is determined
				done := make(chan error)
				go func() {
					_, err := Run(t.Context(), g.nodes(test.goals), test.options)
					done <- err
				}()
				for i, step := range test.steps {
					gate.open(step.open)
					synctest.Wait()
					if got := gate.running(); got != step.started {
						t.Fatalf("step %d: started %q, want %q", i, got, step.started)
					}
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var goals []*Node
		flying, look := 0, make(chan struct{})
		arrive := make(chan struct{}, 2*DefaultLookups)
		for i := range 2 * DefaultLookups {
			goals = append(goals, &Node{ID: fmt.Sprint(i), Stage: &fake{find: func(context.Context) (Result, bool, error) {
				arrive <- struct{}{}
				<-look
				return nil, true, nil
			}}})
		}
		done := make(chan error)
		go func() {
			_, err := Run(t.Context(), goals, Options{})
			done <- err
		}()
		synctest.Wait()
		if flying = len(arrive); flying != DefaultLookups {
			t.Errorf("%d look-ups in flight, want %d", flying, DefaultLookups)
		}
		look <- struct{}{}
		synctest.Wait()
		if flying = len(arrive) - 1; flying != DefaultLookups {
			t.Errorf("%d look-ups in flight after one ended, want %d", flying, DefaultLookups)
		}
		close(look)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type sameResult bool

func (s sameResult) Unchanged() bool { return bool(s) }

func TestUnchanged(t *testing.T) {
	g := graph("tag/a\ntag/b\ntag/c")
	g.stage("tag/a").run = func(context.Context, []Result) (Result, error) { return sameResult(true), nil }
	g.stage("tag/b").run = func(context.Context, []Result) (Result, error) { return sameResult(false), nil }
	g.stage("tag/c").find = func(context.Context) (Result, bool, error) { return sameResult(true), true, nil }
	rec := &recorder{t: t}
	report, err := Run(t.Context(), g.nodes("tag/a tag/b tag/c"), Options{Sinks: []Sink{rec}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(report), "tag/a=unchanged tag/b=ran tag/c=found"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := rec.of("tag/a"), "lookup missed started unchanged"; got != want {
		t.Errorf("events: got %q, want %q", got, want)
	}
	counts := report.Counts()["tag"]
	if counts[StatusUnchanged] != 1 || counts[StatusRan] != 1 || counts[StatusFound] != 1 || counts[StatusFailed] != 0 {
		t.Errorf("counts: %v", counts)
	}
}

func TestEventsOfANodeStayInOrder(t *testing.T) {
	g := graph("top: a b c d e f g h")
	for id := range g {
		g.stage(id).run = func(ctx context.Context, _ []Result) (Result, error) {
			for range 100 {
				Emit(ctx, Event{Kind: EventStep, Step: id})
				Emit(ctx, Event{Kind: EventLog, Step: id, Node: &Node{ID: "someone else"}})
			}
			return nil, nil
		}
	}
	rec, second := &recorder{t: t}, &recorder{t: t}
	if _, err := Run(t.Context(), g.nodes("top"), Options{Sinks: []Sink{rec, second}}); err != nil {
		t.Fatal(err)
	}
	want := "lookup missed started" + strings.Repeat(" step log", 100) + " done"
	for id := range g {
		if got := rec.of(id); got != want {
			t.Errorf("%s: got %s", id, got)
		}
	}
	if len(second.events) != len(rec.events) {
		t.Errorf("the second sink got %d events, the first %d", len(second.events), len(rec.events))
	}
	for i, e := range rec.events {
		if e.Step != "" && e.Step != e.Node.ID {
			t.Errorf("an event of %s was given to %s", e.Step, e.Node.ID)
		}
		if e.Time.IsZero() || i > 0 && e.Time.Before(rec.events[i-1].Time) {
			t.Errorf("event %d is out of time", i)
		}
	}
}

func TestEmitOutsideARun(t *testing.T) {
	Emit(t.Context(), Event{Kind: EventNote, Text: "nobody hears this"})
}

func BenchmarkRunAllFound(b *testing.B) {
	var goals []*Node
	for i := range 10_000 {
		goals = append(goals, &Node{ID: fmt.Sprint(i), Kind: "build", Stage: &fake{
			find: func(context.Context) (Result, bool, error) { return nil, true, nil },
		}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), goals, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
