package oci

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// How many questions are under way at once follows from how long answers take.
func TestTurns(t *testing.T) {
	const questions = 8 * firstTurns
	for name, test := range map[string]struct {
		answer time.Duration
		most   int
	}{
		"near": {turnPatience / 10, firstTurns},
		"far":  {10 * turnPatience, questions},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns()
				var mu sync.Mutex
				now, most := 0, 0
				change := func(by int) {
					mu.Lock()
					defer mu.Unlock()
					now += by
					most = max(most, now)
				}
				var asked sync.WaitGroup
				for range questions {
					asked.Go(func() {
						if err := turns.take(t.Context()); err != nil {
							t.Error(err)
						}
						defer turns.leave()
						change(1)
						time.Sleep(test.answer)
						change(-1)
					})
				}
				start := time.Now()
				asked.Wait()
				if most != test.most {
					t.Errorf("%d at once, want %d; all took %v", most, test.most, time.Since(start))
				}
			})
		})
	}
}

// Who does not wait any more has no turn; and more than are of use are not kept.
func TestTurnsThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		for range firstTurns {
			if err := turns.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := turns.take(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for range 2 * fanOut {
			turns.leave()
		}
		if len(turns) != fanOut {
			t.Errorf("%d are free", len(turns))
		}
	})
}
