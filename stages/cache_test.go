package stages

import (
	"context"
	"errors"
	"testing"
)

// What goes wrong with a cache is told and fails nothing, nor does one that takes
// too long; the end of the run is an end.
func TestCacheFailsNothing(t *testing.T) {
	block := func(ctx context.Context, _ Build) error { <-ctx.Done(); return context.Cause(ctx) }
	ended, end := context.WithCancel(context.Background())
	end()
	for name, test := range map[string]struct {
		run, late context.Context
		solve     func(context.Context, Build) error
		told, err error
	}{
		"broken":    {t.Context(), t.Context(), func(context.Context, Build) error { return errBroken }, errBroken, nil},
		"late":      {t.Context(), ended, block, errLate, nil},
		"cancelled": {ended, t.Context(), block, nil, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			var told error
			stage := &Cache{Solver: &fakeSolver{hook: test.solve}, Late: test.late, Failed: func(_ context.Context, err error) { told = err }}
			if _, err := stage.Run(test.run, nil); !errors.Is(err, test.err) || !errors.Is(told, test.told) {
				t.Errorf("told %v, error %v", told, err)
			}
		})
	}
}
