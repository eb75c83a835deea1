package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"golang.org/x/sys/unix"
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

// unmountBelow unmounts what is mounted below dir, the latest first: an
// operation that was cut off, in this run or in one that was killed, leaves its
// snapshots mounted. The caller owns dir, so nobody uses them.
func unmountBelow(dir string) error {
	points, err := mountPoints(dir)
	if err != nil {
		return err
	}
	var errs []error
	for i := len(points) - 1; i >= 0; i-- {
		if err := unix.Unmount(points[i], unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", points[i], err))
		}
	}
	return errors.Join(errs...)
}

// mountPoints lists the mounts below dir in the order in which they were made
// (proc_pid_mountinfo(5), field 5; blanks and backslashes are octal there).
func mountPoints(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 {
			if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
				points = append(points, point)
			}
		}
	}
	return points, nil
}
