package engine

import (
	"context"
	"runtime/metrics"
	"time"
)

const (
	// maxStack is more than templates use that come to an end: the engine's own
	// bounds, {{template}} to a depth of 100,000 and each name included 1,000 times,
	// mostly end them below it. It is a quarter of what Go ends a process at.
	maxStack = 256 << 20 // bytes
	// stackInterval is how often it is looked at.
	stackInterval = 5 * time.Millisecond
)

// endless waits until templates that call themselves without end, through tpl or
// include, have used so much of the stack that they would soon end the process,
// which no recover can prevent: helm itself crashes then. It returns false when
// ctx is done before.
func endless(ctx context.Context) bool {
	ticker := time.NewTicker(stackInterval)
	defer ticker.Stop()
	stacks := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if metrics.Read(stacks); stacks[0].Value.Kind() == metrics.KindUint64 && stacks[0].Value.Uint64() > maxStack {
				return true
			}
		}
	}
}
