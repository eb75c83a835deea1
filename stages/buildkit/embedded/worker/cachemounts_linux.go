package worker

import (
	"os"
	"path/filepath"

	"slipway/stages/buildkit/cachemounts"
	"slipway/stages/buildkit/embedded/wire"

	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
)

// cacheMounts is the worker with its cache mounts where wire.Options.CacheMounts says.
func (d *daemon) cacheMounts(root string, w *base.Worker) (worker.Worker, error) {
	where := d.caches
	if where == "" {
		return w, nil
	}
	if where == wire.NoCacheMounts {
		where = filepath.Join(root, "cache-mounts") // this run's alone, as the state is
		if err := os.RemoveAll(where); err != nil { // of one that was killed
			return nil, err
		}
		d.stop = append(d.stop, func() error { return os.RemoveAll(where) })
	}
	return cachemounts.In(where, w), nil
}
