package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailure(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name   string
		graph  string
		goals  string
		setup  func(fakes)
		want   string   // statuses
		causes []string // "ID: error; what was not run"
		text   string
	}{
		{
			"chain", "a: b\nb: c", "a", func(g fakes) { g.fails("c", boom) },
			"c=failed b=not-run a=not-run",
			[]string{"c: boom; b a"},
			"c: boom",
		},
		{
			"many need it, told once", "a: x\nb: x\nc: x", "a b c", func(g fakes) { g.fails("x", boom) },
			"x=failed a=not-run b=not-run c=not-run",
			[]string{"x: boom; a b c"},
			"x: boom",
		},
		{
			"nothing new is started", "a: b", "b c a", func(g fakes) { g.fails("b", boom) },
			"b=failed c=not-run a=not-run",
			[]string{"b: boom; a"},
			"b: boom",
		},
		{
			"in the look-up: nothing is descended into", "a: b", "a", func(g fakes) {
				g.stage("a").find = func(context.Context) (Result, bool, error) { return nil, false, boom }
			},
			"a=failed",
			[]string{"a: boom; "},
			"a: boom",
		},
		{
			"a result beside the error does not count", "a: b", "a", func(g fakes) {
				g.stage("b").run = func(context.Context, []Result) (Result, error) { return sameResult(true), boom }
			},
			"b=failed a=not-run",
			[]string{"b: boom; a"},
			"b: boom",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := graph(test.graph + "\n" + strings.ReplaceAll(test.goals, " ", "\n"))
			test.setup(g)
			rec := &recorder{t: t}
			report, err := Run(t.Context(), g.nodes(test.goals), Options{Parallel: 1, Lookups: 1, Sinks: []Sink{rec}})
			if got := statuses(report); got != test.want {
				t.Errorf("statuses:\n got %s\nwant %s", got, test.want)
			}
			var causes []string
			for _, f := range report.Failures() {
				causes = append(causes, fmt.Sprintf("%v; %s", f, ids(f.NotRun)))
			}
			if got, want := strings.Join(causes, "\n"), strings.Join(test.causes, "\n"); got != want {
				t.Errorf("causes:\n got %s\nwant %s", got, want)
			}
			if !errors.Is(err, boom) || err.Error() != test.text {
				t.Errorf("error: got %q, want %q", err, test.text)
			}
			for _, n := range report.Nodes {
				if n.Status == StatusNotRun && !strings.HasSuffix(rec.of(n.Node.ID), "not-run") {
					t.Errorf("the sinks were not told that %s was not run: %s", n.Node.ID, rec.of(n.Node.ID))
				}
			}
		})
	}
}

func TestRunningStagesFinishAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := graph("top: bad slow\nslow\nlate: slow")
		gate := g.gate("slow")
		g.stage("bad").run = func(context.Context, []Result) (Result, error) {
			time.Sleep(time.Second) // of the test's own clock: slow is running by then
			return nil, errors.New("boom")
		}
		done := make(chan *Report)
		go func() {
			report, _ := Run(t.Context(), g.nodes("top late"), Options{})
			done <- report
		}()
		time.Sleep(time.Minute)
		gate.open("slow")
		if got, want := statuses(<-done), "bad=failed slow=ran top=not-run late=not-run"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestEachCauseOnce(t *testing.T) {
	leaf := errors.New("no disk")
	start := fmt.Errorf("start the builder: %w", leaf)
	tests := []struct {
		name string
		a, b error
		want string
	}{
		{"two causes", errors.New("one"), errors.New("two"), "2 causes:\n- a: one\n- b: two"},
		{"several lines", errors.New("one\nmore"), errors.New("two"), "2 causes:\n- a: one\n  more\n- b: two"},
		{"the same value", leaf, leaf, "a, b: no disk"},
		{"wrapped by one", start, fmt.Errorf("image b: %w", start), "a, b: start the builder: no disk"},
		{"wrapped by both", fmt.Errorf("image a: %w", start), errors.Join(errors.New("b"), start), "a, b: image a: start the builder: no disk"},
		{"sentinels tell nothing", fmt.Errorf("push a: %w", io.EOF), fmt.Errorf("push b: %w", io.EOF), "2 causes:\n- a: push a: EOF\n- b: push b: EOF"},
		{"the same text", errors.New("exit code 1"), errors.New("exit code 1"), "2 causes:\n- a: exit code 1\n- b: exit code 1"},
		{"values that cannot be compared", list{leaf}, list{leaf}, "2 causes:\n- a: list\n- b: list"},
		{"a wrapper of nothing", hollow{}, fmt.Errorf("b: %w", hollow{}), "2 causes:\n- a: hollow\n- b: b: hollow"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := graph("top: a b")
				for id, err := range map[string]error{"a": test.a, "b": test.b} {
					g.stage(id).run = func(context.Context, []Result) (Result, error) {
						time.Sleep(time.Second) // of the test's own clock: both are running by then
						return nil, err
					}
				}
				report, err := Run(t.Context(), g.nodes("top"), Options{})
				if err == nil || err.Error() != test.want {
					t.Errorf("got %q, want %q", err, test.want)
				}
				for _, f := range report.Failures() {
					if ids(f.NotRun) != "top" {
						t.Errorf("not run because of %s: %q, want top", f.Node.ID, ids(f.NotRun))
					}
				}
			})
		})
	}
}

type list []error

func (list) Error() string { return "list" }

type hollow struct{}

func (hollow) Error() string { return "hollow" }
func (hollow) Unwrap() error { return nil }

func TestPanic(t *testing.T) {
	tests := map[string]func(*fake){
		"in Find": func(f *fake) {
			f.find = func(context.Context) (Result, bool, error) { panic(io.ErrUnexpectedEOF) }
		},
		"in Run": func(f *fake) {
			f.run = func(context.Context, []Result) (Result, error) { panic(io.ErrUnexpectedEOF) }
		},
	}
	for name, setup := range tests {
		t.Run(name, func(t *testing.T) {
			g := graph("a: b")
			setup(g.stage("b"))
			report, err := Run(t.Context(), g.nodes("a"), Options{})
			if got, want := statuses(report), "b=failed a=not-run"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			var p *PanicError
			if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "TestPanic") {
				t.Fatalf("no panic with the stack of the stage: %v", err)
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "b: panic: unexpected EOF") {
				t.Errorf("the value is not told: %v", err)
			}
		})
	}
}

// TestGoexit ends the goroutine as testing.T.FailNow does.
func TestGoexit(t *testing.T) {
	g := graph("a")
	g.stage("a").run = func(context.Context, []Result) (Result, error) { runtime.Goexit(); return nil, nil }
	_, err := Run(t.Context(), g.nodes("a"), Options{})
	if err == nil || !strings.Contains(err.Error(), "ended its own goroutine") {
		t.Errorf("got %v", err)
	}
}
