// Package bench measures the program beside its peers: it makes synthetic
// monorepos, puts a registry behind addresses that count and delay, runs
// scenarios, and writes what came out as tables.
//
// It is for the project itself and must never be linked into the program, nor
// know how the program works inside: it runs executables and watches what they
// cost. What a run may cost is tested elsewhere, by tests that count; here things
// are timed, so nothing here decides whether the project is right.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Options says what to measure and where. Only Slipway and Work are needed.
type Options struct {
	Slipway string // the program
	Work    string // the executable of package work
	// Buildx and Buildkitd are the peers; where one is "", NoPeer says why, and
	// what needs it is said to be missing.
	Buildx, Buildkitd string
	NoPeer            string
	Runs              int          // of every scenario; 0 is as many as it says
	Dir               string       // for repositories and state, some gigabytes; "" is the system's
	Log               func(string) // told of each step; nil is nobody
}

// Result is what became of one side of a scenario over one shape.
type Result struct {
	Scenario string   `json:"scenario"`
	Shape    string   `json:"shape"`
	Side     string   `json:"side"`
	Samples  []Sample `json:"samples,omitempty"`
	Missing  string   `json:"missing,omitempty"` // why there are no samples
}

// Sample is one run.
type Sample struct {
	Cost
	Traffic
	Runs int `json:"runs"` // RUN instructions that were run and not found
}

// Run runs scenarios. What could not be measured, since a peer is not there,
// is in the results as missing; a program that fails is an error. Results
// until then are returned with it.
func Run(ctx context.Context, scenarios []Scenario, o Options) (results []Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "slipway-bench-*")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the benchmark: %w", err)
	}
	b := &bench{Options: o, dir: dir, worlds: map[Shape]*world{}}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.Log == nil {
		b.Log = func(string) {}
	}
	for _, s := range scenarios {
		for i, shape := range s.Shapes {
			start := time.Now()
			more, err := b.scenario(ctx, s, shape)
			results = append(results, more...)
			if err != nil {
				return results, fmt.Errorf("%s, %v: %w", s.Name, shape, err)
			}
			b.Log(fmt.Sprintf("%-12s %v: %.0f s", s.Name, shape, time.Since(start).Seconds()))
			if !usedLater(shape, s, i, scenarios) {
				if err := b.drop(shape); err != nil {
					return results, err
				}
			}
		}
	}
	return results, nil
}

// usedLater says whether a shape is in what comes after scenario s's shape i.
func usedLater(shape Shape, s Scenario, i int, scenarios []Scenario) bool {
	if slices.Contains(s.Shapes[i+1:], shape) {
		return true
	}
	at := slices.IndexFunc(scenarios, func(other Scenario) bool { return other.Name == s.Name })
	return slices.ContainsFunc(scenarios[at+1:], func(later Scenario) bool { return slices.Contains(later.Shapes, shape) })
}

type bench struct {
	Options
	dir    string
	worlds map[Shape]*world
	fresh  int // directories of machines and registries
}

// missing says why a side cannot be run, "" when it can.
func (b *bench) missing(side Side) string {
	if side.Tool == Bake && (b.Buildx == "" || b.Buildkitd == "") || side.Tool == Buildx && b.Buildx == "" {
		return b.NoPeer
	}
	return ""
}

// scenario runs all sides over one shape in turn, so that what else the machine
// does falls on all of them.
func (b *bench) scenario(ctx context.Context, s Scenario, shape Shape) ([]Result, error) {
	var results []Result
	var sides []int // of those that can be run
	for i, side := range s.Sides {
		r := Result{Scenario: s.Name, Shape: shape.String(), Side: side.Name, Missing: b.missing(side)}
		if r.Missing == "" {
			sides = append(sides, i)
		}
		results = append(results, r)
	}
	w, err := b.world(ctx, shape)
	if err == nil && s.Seeded {
		err = w.seed(ctx)
	}
	if err != nil {
		return results, err
	}
	runs := s.Runs
	if b.Runs > 0 {
		runs = b.Runs
	}
	if s.Change == Uncommitted {
		if err := w.uncommitted(); err != nil {
			return results, err
		}
	}
	if !s.Empty {
		for _, i := range sides {
			if err := w.prepare(ctx, s, s.Sides[i]); err != nil {
				return results, err
			}
		}
	}
	first := 0
	if s.Warm {
		first = -1
	}
	for n := first; n < runs; n++ {
		if err := w.change(ctx, s.Change); err != nil {
			return results, err
		}
		for _, i := range sides {
			sample, err := w.measure(ctx, s, s.Sides[i])
			if err != nil {
				return results, err
			}
			if n >= 0 {
				results[i].Samples = append(results[i].Samples, sample)
			}
		}
		slices.Reverse(sides) // who comes second may find warmer caches
	}
	if s.Change == Uncommitted {
		err = w.repo.Restore(ctx)
	}
	return results, err
}

// drop removes the world of a shape.
func (b *bench) drop(shape Shape) error {
	w := b.worlds[shape]
	if w == nil {
		return nil
	}
	delete(b.worlds, shape)
	return w.close()
}

func (b *bench) close() error {
	var err error
	for _, w := range b.worlds {
		err = errors.Join(err, w.close())
	}
	return errors.Join(err, removeAll(b.dir))
}

// newDir makes a directory of its own.
func (b *bench) newDir() (string, error) {
	b.fresh++
	dir := filepath.Join(b.dir, fmt.Sprint(b.fresh))
	return dir, os.Mkdir(dir, 0o755)
}
