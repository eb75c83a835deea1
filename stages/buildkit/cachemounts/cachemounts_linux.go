// Package cachemounts keeps the cache mounts of RUNs (RUN --mount=type=cache) in
// a directory of the user's instead of BuildKit's state, so that they outlive
// that state and runs side by side share them.
//
// It must never know whose directory that is, nor what is built: it wraps a
// BuildKit worker.
//
// DIR/NAME/N is the content of a cache mount, N being 0 unless runs that may not
// share one use it at once, and DIR/NAME/N.lock is locked while a RUN uses it.
// NAME is the mount's id, escaped as in URLs, and its uid, gid and mode where the
// Dockerfile gives them. Nothing is ever deleted here.
package cachemounts

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/llbsolver/ops"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/sys/user"
)

// In makes the RUNs of a worker use cache mounts in dir, an absolute path. It is
// made when it is first needed. A cache mount that begins as a copy of something
// (from=, source=) stays in BuildKit's state: there is no name for what it began as
// that another run would find.
func In(dir string, w *base.Worker) worker.Worker { return &caching{w, dir} }

type caching struct {
	*base.Worker
	dir string
}

// ResolveOp is the worker's, with an executor of its own for a RUN with cache
// mounts: executors see mounts without their ids.
func (w *caching) ResolveOp(v solver.Vertex, s frontend.FrontendLLBBridge, sm *session.Manager, proxy worker.ProxyOpt) (solver.Op, error) {
	op, ok := v.Sys().(*pb.Op)
	if !ok || op.GetExec() == nil {
		return w.Worker.ResolveOp(v, s, sm, proxy)
	}
	caches := cachesOf(op.GetExec(), v.Inputs())
	if len(caches) == 0 {
		return w.Worker.ResolveOp(v, s, sm, proxy)
	}
	exec := &executing{w.WorkerOpt.Executor, w.dir, caches}
	// Limits of a RUN's resources and proxies are never asked for.
	return ops.NewExecOp(v, op.Op.(*pb.Op_Exec), op.Platform, w.CacheMgr, w.ParallelismSem, sm, exec, w, nil, false)
}

// executing runs one RUN with its cache mounts.
type executing struct {
	executor.Executor
	dir    string
	caches map[string]cache // by where they are mounted
}

func (e *executing) Run(ctx context.Context, id string, rootfs executor.Mount, mounts []executor.Mount, process executor.ProcessInfo, started chan<- struct{}) (resourcestypes.Recorder, error) {
	mounts = slices.Clone(mounts)
	var wanted []*executor.Mount
	for i := range mounts {
		if _, ok := e.caches[mounts[i].Dest]; ok {
			wanted = append(wanted, &mounts[i])
		}
	}
	// All runs take their locks in one order, so that none wait for each other.
	slices.SortFunc(wanted, func(a, b *executor.Mount) int {
		return cmp.Compare(e.caches[a.Dest].name(), e.caches[b.Dest].name())
	})
	taken := map[string]string{}
	for _, m := range wanted {
		c := e.caches[m.Dest]
		dir := taken[c.name()] // one RUN may mount a cache twice
		if dir == "" {
			waiting := func() {
				fmt.Fprintf(process.Stderr, "waiting for the cache mount %s, which another RUN uses and does not share\n", c.id)
			}
			var release func()
			var err error
			if dir, release, err = c.take(ctx, filepath.Join(e.dir, c.name()), waiting); err != nil {
				return nil, fmt.Errorf("cache mount %s: %w", c.id, err)
			}
			defer release()
			taken[c.name()] = dir
		}
		m.Src, m.Selector = directory(dir), ""
	}
	return e.Executor.Run(ctx, id, rootfs, mounts, process, started)
}

// directory is a mount of a directory of this machine.
type directory string

func (d directory) Mount(_ context.Context, readonly bool) (executor.MountableRef, error) {
	return bind{string(d), readonly}, nil
}

type bind struct {
	dir      string
	readonly bool
}

func (b bind) Mount() ([]mount.Mount, func() error, error) {
	options := []string{"rbind", "rw"}
	if b.readonly {
		options[1] = "ro"
	}
	return []mount.Mount{{Type: "bind", Source: b.dir, Options: options}}, func() error { return nil }, nil
}

func (bind) IdentityMapping() *user.IdentityMapping { return nil }
