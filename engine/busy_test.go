package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// elsewhere makes a stage's first Run find somebody else at work for a minute,
// after which the result is there or not.
func (g fakes) elsewhere(id string, succeeds bool) {
	s, over := g.stage(id), false
	s.find = func(context.Context) (Result, bool, error) { return "theirs", over && succeeds, nil }
	s.run = func(context.Context, []Result) (Result, error) {
		if over {
			return "ours", nil
		}
		return nil, &Busy{Wait: func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				over = true
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}
	}
}

// While somebody else makes a stage, the stage leaves its place to others.
func TestBusy(t *testing.T) {
	for name, test := range map[string]struct {
		succeeds     bool
		result       Result
		want, events string
	}{
		"adopted": {true, "theirs", "b=ran a=found c=ran top=ran", "lookup missed started lookup found"},
		"in vain": {false, "ours", "b=ran a=ran c=ran top=ran", "lookup missed started lookup missed started done"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := graph("top: a c\na: b\nc: b")
				g.elsewhere("a", test.succeeds)
				var begun time.Duration
				start := time.Now()
				g.stage("c").run = func(context.Context, []Result) (Result, error) {
					begun = time.Since(start)
					time.Sleep(10 * time.Second)
					return nil, nil
				}
				rec := &recorder{t: t}
				report, err := Run(t.Context(), g.nodes("top"), Options{Parallel: 1, Lookups: 1, Sinks: []Sink{rec}})
				if err != nil {
					t.Fatal(err)
				}
				if got := statuses(report); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if got := report.Result(g["a"]); got != test.result {
					t.Errorf("the result is %v", got)
				}
				if got := rec.of("a"); got != test.events {
					t.Errorf("events: %s", got)
				}
				if begun >= time.Minute || time.Since(start) != time.Minute {
					t.Errorf("c began after %v, all ended after %v", begun, time.Since(start))
				}
			})
		})
	}
}

// Nobody waits for others in a run that has failed or was cancelled.
func TestBusyEnds(t *testing.T) {
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		end  func(cancel context.CancelFunc) error
		want string
	}{
		"failure":      {func(context.CancelFunc) error { return boom }, "a=not-run b=failed top=not-run"},
		"cancellation": {func(cancel context.CancelFunc) error { cancel(); return nil }, "a=cancelled b=ran top=not-run"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				g := graph("top: a b")
				g.elsewhere("a", true)
				g.stage("b").run = func(context.Context, []Result) (Result, error) {
					time.Sleep(time.Second)
					return nil, test.end(cancel)
				}
				start := time.Now()
				report, err := Run(ctx, g.nodes("top"), Options{})
				if got := statuses(report); got != test.want || err == nil {
					t.Errorf("got %s, %v", got, err)
				}
				if time.Since(start) != time.Second {
					t.Errorf("it ended after %v", time.Since(start))
				}
			})
		})
	}
}

// A wait that fails fails the stage.
func TestBusyFails(t *testing.T) {
	boom := errors.New("boom")
	g := graph("a")
	g.fails("a", &Busy{Wait: func(context.Context) error { return boom }})
	if report, err := Run(t.Context(), g.nodes("a"), Options{}); !errors.Is(err, boom) || statuses(report) != "a=failed" {
		t.Errorf("got %s, %v", statuses(report), err)
	}
}
