package worker

import (
	"context"
	"errors"
	"path/filepath"

	"slipway/oci"
	"slipway/stages/buildkit/embedded/wire"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"

	fscopy "github.com/tonistiigi/fsutil/copy"
	"golang.org/x/sys/unix"
)

// Main does nothing, unless this process is a worker: then it does its work and
// exits. A program that starts BuildKit calls it first of all, as do the tests of
// whatever does so in their own process (in TestMain).
func Main() { host.Main(map[string]host.Task{wire.Task: serve, wire.PruneTask: prune}) }

// daemon is a running BuildKit.
type daemon struct {
	stop   []func() error // in the order of starting; run backwards
	limit  state.Limit
	caches string // wire.Options.CacheMounts
	cache  state.Cache
}

func (d *daemon) close() error {
	var errs []error
	for i := len(d.stop) - 1; i >= 0; i-- {
		errs = append(errs, d.stop[i]())
	}
	return errors.Join(errs...)
}

// serve runs BuildKit until the connection ends.
func serve(w *host.Worker) (err error) {
	var o wire.Options
	if err := w.Request(&o); err != nil {
		return err
	}
	// BuildKit makes the files of images, whose modes are not the user's to decide.
	unix.Umask(0)
	fscopy.UmaskIsZero = true
	d := &daemon{limit: o.Limit, caches: o.CacheMounts}
	defer func() { err = errors.Join(err, d.close()) }()
	var answer wire.Started
	maps, err := idMaps()
	if err != nil {
		return err
	}
	store, err := state.Take(context.Background(), filepath.Join(o.StateDir, state.Slots), state.Options{
		Owner: o.Owner, Note: func(text string) { answer.Notes = append(answer.Notes, text) },
	})
	if err != nil {
		return err
	}
	root := store.Dir()
	d.stop = append(d.stop, store.Release)
	if err := ownIDs(store.Dir(), maps); err != nil {
		return err
	}
	if err := redirectLogs(d, root); err != nil {
		return err
	}
	session, err := oci.NewSession(o.Registries)
	if err != nil {
		return err
	}
	if err := runtimeState(root, w.Isolation); err != nil {
		return err
	}
	controller, err := newController(d, root, session, o, w.Isolation)
	if err != nil {
		return err
	}
	if err := w.Answer(answer); err != nil {
		return err
	}

	listener := newListener(w.Conn)
	server := newServer()
	controller.Register(server)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) //nolint:errcheck // it ends when Stop is called
	}()
	<-listener.ended
	server.Stop()
	<-served
	collect(store, d)
	return nil
}
