package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
)

// drained is an executor that can be waited for: a solve that is cancelled
// returns before its containers have ended.
type drained struct {
	executor.Executor
	running sync.WaitGroup
}

func (d *drained) Run(ctx context.Context, id string, rootfs executor.Mount, mounts []executor.Mount, process executor.ProcessInfo, started chan<- struct{}) (resourcestypes.Recorder, error) {
	d.running.Add(1)
	defer d.running.Done()
	return d.Executor.Run(ctx, id, rootfs, mounts, process, started)
}

// drainTime is how long containers that have been killed may take to be gone.
const drainTime = 10 * time.Second

// wait returns when no container runs.
func (d *drained) wait() error {
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(drainTime):
		return errors.New("a RUN did not end when it was killed")
	}
}
