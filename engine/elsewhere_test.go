package engine

import (
	"context"
	"errors"
	"testing"
)

// abroad is a result that has to be fetched.
type abroad struct{ err error }

func (a abroad) Fetch(context.Context) (Result, error) { return "fetched", a.err }

// What is found elsewhere is fetched: neither the stage nor what it needs is run,
// and what needs it gets what was fetched.
func TestElsewhere(t *testing.T) {
	for _, cause := range []error{nil, errors.New("cut off")} {
		g := graph("goal: image\nimage: base")
		g.stage("image").find = func(context.Context) (Result, bool, error) { return abroad{cause}, true, nil }
		g.fails("image", errors.New("it was built"))
		g.fails("base", errors.New("what it needs was built"))
		var got []Result
		g.stage("goal").run = func(_ context.Context, needs []Result) (Result, error) {
			got = needs
			return nil, nil
		}
		report, err := Run(t.Context(), g.nodes("goal"), Options{})
		if cause != nil {
			if !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0] != "fetched" || report.Result(g["image"]) != "fetched" || report.Counts()["stage"][StatusRan] != 2 || len(report.Nodes) != 2 {
			t.Errorf("%v: needs %v, report %+v", err, got, report.Nodes)
		}
	}
}
