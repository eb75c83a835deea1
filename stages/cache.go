package stages

import (
	"context"
	"errors"

	"slipway/engine"
)

// Cache stores the layer cache of a build that has been run: the same build is
// solved again, which comes from the builder's own state, and the layers of its
// steps are stored. A cache is only ever a help, so what goes wrong is told to
// Failed and fails nothing.
type Cache struct {
	Solver Solver
	Build  Build // with a CacheTo
	// Late ends when the cache has taken too long.
	Late   context.Context
	Failed func(ctx context.Context, err error)
}

// Find has nothing to go by: a cache is stored for what was built just now.
func (s *Cache) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run stores the cache.
func (s *Cache) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	solving, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Late, func() { cancel(errLate) })()
	_, err := s.Solver.Solve(solving, s.Build)
	if err != nil && ctx.Err() == nil {
		s.Failed(ctx, err)
		return Published{}, nil
	}
	return Published{moved: true}, err
}

var errLate = errors.New("it took too long, and all else is done")
