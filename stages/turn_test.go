package stages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slipway/engine"
	"slipway/oci/filelock"
)

// Runs at once make each result once, whatever they are told to build at a time.
func TestRunsTakeTurns(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		dir, solver := t.TempDir(), &fakeSolver{session: w.session, hook: func(context.Context, Build) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		}}
		images := []string{"a", "b", "c", "d", "e", "f"}
		digests := make([]string, 4)
		var group sync.WaitGroup
		for i := range digests {
			group.Go(func() {
				turns, repo := NewTurns(dir), w.repo(t, "app")
				var goals []*engine.Node
				for _, name := range images {
					goals = append(goals, &engine.Node{ID: name, Stage: NewBuild(repo, key(name), recipe(name), solver, turns)})
				}
				report, err := engine.Run(t.Context(), goals, engine.Options{Parallel: 1})
				if err != nil {
					t.Error(err)
					return
				}
				for _, g := range goals {
					digests[i] += report.Result(g).(Image).Desc.Digest.String()
				}
			})
		}
		group.Wait()
		if solved := solver.take(); len(solved) != len(images) {
			t.Errorf("built %v, want each once", solved)
		}
		for _, d := range digests {
			if d != digests[0] {
				t.Errorf("digests %v", digests)
			}
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// What another failed to make is made by who waited for it.
func TestTurnAfterAFailure(t *testing.T) {
	w := newWorld(t, places["layout"](t))
	dir, repo := t.TempDir(), w.repo(t, "app")
	started, fail := make(chan struct{}), make(chan struct{})
	failing := &fakeSolver{session: w.session, hook: func(context.Context, Build) error {
		close(started)
		<-fail
		return errBroken
	}}
	over := make(chan error)
	go func() {
		_, err := NewBuild(repo, key("app"), recipe("app"), failing, NewTurns(dir)).Run(t.Context(), nil)
		over <- err
	}()
	<-started
	stage := NewBuild(repo, key("app"), recipe("app"), &fakeSolver{session: w.session}, NewTurns(dir))
	_, err := stage.Run(t.Context(), nil)
	var busy *engine.Busy
	if !errors.As(err, &busy) {
		t.Fatalf("got %v", err)
	}
	close(fail)
	if err := <-over; !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	check(t, busy.Wait(t.Context()))
	if _, err := stage.Run(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// notes is a sink for the steps that are told.
type notes []string

func (n *notes) Event(e engine.Event) {
	if e.Kind == engine.EventStep || e.Kind == engine.EventNote {
		*n = append(*n, e.Step+e.Text+" "+strconv.FormatBool(e.StepDone))
	}
}

// waiting is a stage that waits for the turn of another.
type waiting struct{ turns *Turns }

func (waiting) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }
func (w waiting) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	done, err := w.turns.take(ctx, "app")
	if err == nil {
		done()
	}
	return nil, err
}

// After a second the progress says who is waited for.
func TestTurnIsWaitedForAloud(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		want  int
	}{"soon": {turnSilent / 2, 0}, "late": {turnSilent * 2, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := NewTurns(t.TempDir())
				done, err := turns.take(t.Context(), "app")
				check(t, err)
				time.AfterFunc(test.after, done)
				var told notes
				_, err = engine.Run(t.Context(), []*engine.Node{{ID: "app", Stage: waiting{turns}}}, engine.Options{Sinks: []engine.Sink{&told}})
				check(t, err)
				if len(told) != test.want || len(told) > 0 && !strings.Contains(told[0], "(process "+strconv.Itoa(os.Getpid())+")") {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

func TestTurnIsWaitedForCancellably(t *testing.T) {
	turns := NewTurns(t.TempDir())
	done, err := turns.take(t.Context(), "app")
	check(t, err)
	defer done()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = engine.Run(ctx, []*engine.Node{{ID: "app", Stage: waiting{turns}}}, engine.Options{Grace: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Where no lock can be made, nobody waits, and that is said once.
func TestTurnsWithoutAPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	turns := NewTurns(filepath.Join(file, "locks"))
	var told notes
	nodes := []*engine.Node{{ID: "a", Stage: waiting{turns}}, {ID: "b", Stage: waiting{turns}}}
	_, err := engine.Run(t.Context(), nodes, engine.Options{Sinks: []engine.Sink{&told}})
	check(t, err)
	if len(told) != 1 || !strings.Contains(told[0], "may build the same") {
		t.Errorf("told %q", told)
	}
}

// Sweep removes what nobody holds, and nothing else.
func TestSweepTurns(t *testing.T) {
	dir := t.TempDir()
	turns := NewTurns(dir)
	check(t, turns.Sweep())
	done, err := turns.take(t.Context(), "held")
	check(t, err)
	defer done()
	check(t, os.WriteFile(filepath.Join(dir, "left"), nil, 0o600))
	check(t, turns.Sweep())
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) == "left" {
		t.Errorf("there are %v, %v", left, err)
	}
	check(t, NewTurns(filepath.Join(dir, "nothing")).Sweep())
}

// A file that is removed between opening and locking it is nobody's lock.
func TestTurnsAreNeverSharedOrLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders, takes atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				file, err := lockFile(path)
				if err != nil {
					t.Error(err)
				}
				if file == nil {
					continue
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold it", n)
				}
				takes.Add(1)
				time.Sleep(10 * time.Microsecond)
				holders.Add(-1)
				remove(file)
			}
		})
	}
	group.Wait()
	if takes.Load() == 0 {
		t.Error("nobody got it")
	}
	if file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		defer file.Close()
		if ok, err := filelock.Try(file); !ok {
			t.Errorf("the lock is held: %v", err)
		}
	}
}
