package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/oci"
	"slipway/stages/buildkit/embedded/wire"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"

	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/worker/base"
	"github.com/sirupsen/logrus"
)

// layers are BuildKit's worker as a state.Cache. What was freed is forgotten by
// the solver, too.
type layers struct {
	*base.Worker
	keys solver.CacheManager
}

func (l *layers) Prune(ctx context.Context, freed chan client.UsageInfo, rules ...client.PruneInfo) error {
	if len(rules) == 0 {
		// The snapshotter looks for directories that are nobody's when it has removed
		// a snapshot: this one, which nobody refers to.
		if err := l.Snapshotter.Prepare(ctx, "slipway-nothing", ""); err != nil && !errdefs.IsAlreadyExists(err) {
			return err
		}
	}
	err := l.Worker.Prune(ctx, freed, rules...)
	if keys, ok := l.keys.(interface {
		ReleaseUnreferenced(context.Context) error
	}); ok && err == nil {
		err = keys.ReleaseUnreferenced(ctx)
	}
	return err
}

// collectTime bounds what a run spends at its end on bringing the state within
// its limit. The next run goes on.
const collectTime = 5 * time.Second

// collect is the end of a run that has built something. What goes wrong is no
// reason to fail it.
func collect(store *state.Store, d *daemon) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	if _, err := store.Collect(ctx, d.cache, state.Keep{Limit: d.limit}); err != nil {
		logrus.Errorf("collecting: %v", err)
	}
}

// prune does the work of wire.Prune.
func prune(w *host.Worker) (err error) {
	var o wire.Prune
	if err := w.Request(&o); err != nil {
		return err
	}
	dir, ctx := filepath.Join(o.StateDir, state.Slots), context.Background()
	if o.Keep.None {
		collected, err := state.Collect(ctx, dir, o.Keep)
		return errors.Join(err, w.Answer(collected))
	}
	d := &daemon{limit: o.Keep.Limit}
	defer func() { err = errors.Join(err, d.close()) }()
	maps, err := idMaps()
	if err != nil {
		return err
	}
	store, err := state.Take(ctx, dir, state.Options{Owner: o.Owner})
	if err != nil {
		return err
	}
	d.stop = append(d.stop, store.Release)
	if err := ownIDs(store.Dir(), maps); err != nil {
		return err
	}
	if err := redirectLogs(d, store.Dir()); err != nil {
		return err
	}
	session, err := oci.NewSession(oci.Options{})
	if err != nil {
		return err
	}
	self, err := os.Executable() // nothing is run
	if err != nil {
		return err
	}
	if _, err := newController(d, store.Dir(), session, wire.Options{Runtime: self}, w.Isolation); err != nil {
		return err
	}
	collected, err := store.Collect(ctx, d.cache, o.Keep)
	if err != nil {
		return fmt.Errorf("pruning %s: %w", dir, err)
	}
	return w.Answer(collected)
}
