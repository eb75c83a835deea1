package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestCancel cancels a run while "a" runs (of kind build, one at a time).
func TestCancel(t *testing.T) {
	why := errors.New("the user pressed ^C")
	tests := []struct {
		name   string
		run    func(context.Context, []Result) (Result, error)
		want   string
		took   time.Duration // from the cancellation
		events string        // of a
	}{
		{
			"the stage heeds its context",
			func(ctx context.Context, _ []Result) (Result, error) { <-ctx.Done(); return nil, ctx.Err() },
			"a=cancelled b=not-run top=not-run", 0, "lookup missed started not-run",
		},
		{
			"the stage finishes all the same",
			func(ctx context.Context, _ []Result) (Result, error) {
				<-ctx.Done()
				time.Sleep(time.Second / 2)
				return "made", nil
			},
			"a=ran b=not-run top=not-run", time.Second / 2, "lookup missed started done",
		},
		{
			"the stage takes longer than the grace",
			func(ctx context.Context, _ []Result) (Result, error) {
				time.Sleep(time.Hour)
				Emit(ctx, Event{Kind: EventNote, Text: "too late to be heard"})
				return "made", nil
			},
			"a=cancelled b=not-run top=not-run", DefaultGrace, "lookup missed started not-run",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				g := graph("top: a b")
				g.stage("a").run = test.run
				rec := &recorder{t: t}
				var cancelled time.Time
				go func() {
					synctest.Wait()
					cancelled = time.Now()
					cancel(why)
				}()
				report, err := Run(ctx, g.nodes("top"), Options{Parallel: 1, Lookups: 1, Sinks: []Sink{rec}})
				if took := time.Since(cancelled); took != test.took {
					t.Errorf("returned %v after it was cancelled, want %v", took, test.took)
				}
				if got := statuses(report); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if !errors.Is(err, why) || err.Error() != "the run was cancelled: the user pressed ^C" {
					t.Errorf("error: %v", err)
				}
				if len(report.Failures()) > 0 {
					t.Errorf("a cancelled stage is told as a failure: %v", report.Failures())
				}
				time.Sleep(2 * time.Hour) // let the late one end
				if got := rec.of("a"); got != test.events {
					t.Errorf("events: got %q, want %q", got, test.events)
				}
			})
		})
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := graph("a")
	rec := &recorder{t: t}
	report, err := Run(ctx, g.nodes("a"), Options{Sinks: []Sink{rec}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	if got := statuses(report); got != "a=not-run" || rec.of("a") != "not-run" {
		t.Errorf("got %s, events %s", got, rec.of("a"))
	}
}

func TestCancelledWhenAllWasDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := graph("a")
	g.stage("a").run = func(context.Context, []Result) (Result, error) { cancel(); return "made", nil }
	report, err := Run(ctx, g.nodes("a"), Options{})
	if err != nil || report.Result(g["a"]) != "made" {
		t.Errorf("got %v, %v", report.Result(g["a"]), err)
	}
}

func TestCancelDuringLookup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := graph("a: b")
	g.stage("a").find = func(ctx context.Context) (Result, bool, error) {
		cancel()
		<-ctx.Done()
		return nil, false, ctx.Err()
	}
	report, err := Run(ctx, g.nodes("a"), Options{})
	if got := statuses(report); got != "a=cancelled" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestFailureThenCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		boom := errors.New("boom")
		g := graph("top: a b")
		g.stage("a").run = func(context.Context, []Result) (Result, error) {
			time.Sleep(time.Second) // of the test's own clock: b is running by then
			return nil, boom
		}
		g.stage("b").run = func(ctx context.Context, _ []Result) (Result, error) { <-ctx.Done(); return nil, ctx.Err() }
		go func() {
			time.Sleep(time.Minute)
			cancel()
		}()
		report, err := Run(ctx, g.nodes("top"), Options{})
		if got, want := statuses(report), "a=failed b=cancelled top=not-run"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		want := "2 causes:\n- a: boom\n- the run was cancelled: context canceled"
		if !errors.Is(err, boom) || !errors.Is(err, context.Canceled) || err.Error() != want {
			t.Errorf("error: %v", err)
		}
	})
}
