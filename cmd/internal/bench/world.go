package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// world is a repository and a registry with what has been built from it.
type world struct {
	bench    *bench
	repo     *Repo
	registry *Registry
	kept     map[string]machine // by tool and link
	// changes counts the commits and other changes that an image reads. prepared is
	// how many of them a side had seen when it was last run before it is measured.
	changes, commits int
	prepared         map[string]int
	seeded           int // the changes at which the registry was given an image for every key, or -1
}

// world makes the world of a shape, once.
func (b *bench) world(ctx context.Context, shape Shape) (*world, error) {
	if w := b.worlds[shape]; w != nil {
		return w, nil
	}
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	w := &world{bench: b, kept: map[string]machine{}, prepared: map[string]int{}, seeded: -1}
	if w.repo, err = Generate(ctx, filepath.Join(dir, "repo"), shape); err != nil {
		return nil, err
	}
	if w.registry, err = b.newRegistry(ctx, shape); err != nil {
		return nil, err
	}
	b.worlds[shape] = w
	return w, nil
}

// newRegistry starts a registry that has the base image only.
func (b *bench) newRegistry(ctx context.Context, shape Shape) (*Registry, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	r := NewRegistry(dir)
	if err := r.pushBase(ctx, b.Work, shape.Platforms); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// seed gives a repository of its own an image for every key.
func (w *world) seed(ctx context.Context) error {
	if w.seeded == w.changes {
		return nil
	}
	w.seeded = w.changes
	home, err := w.bench.newDir()
	if err != nil {
		return err
	}
	m := &slipwayMachine{path: w.bench.Slipway, home: home}
	keys, err := m.keys(ctx, w.repo.Dir)
	if err == nil {
		err = w.registry.seed(ctx, w.bench.Work, seeded, keys)
	}
	return errors.Join(err, m.close())
}

// change changes the repository before a run.
func (w *world) change(ctx context.Context, c Change) error {
	w.commits++
	content := fmt.Sprintf("change %d\n", w.commits)
	switch c {
	case Unrelated:
		return w.repo.Commit(ctx, unrelated, content)
	case OneFile:
		w.changes++
		return w.repo.Commit(ctx, source(0), content)
	}
	return nil
}

func (w *world) uncommitted() error {
	w.changes++
	return w.repo.Write(source(0), "not committed\n")
}

// prepare runs a side once where that has not been done since the last change,
// on a machine that is kept.
func (w *world) prepare(ctx context.Context, s Scenario, side Side) error {
	id := fmt.Sprint(side, s.Link, s.Seeded)
	if seen, ok := w.prepared[id]; ok && seen == w.changes || side.Local || s.Seeded && side.Fresh {
		return nil
	}
	f, err := w.registry.Front(s.Link)
	if err != nil {
		return err
	}
	m, err := w.keep(ctx, side, f)
	if err != nil {
		return err
	}
	c, err := m.command(s, side, w, f)
	if err != nil {
		return err
	}
	w.prepared[id] = w.changes
	_, _, err = measure(ctx, c)
	return err
}

// keep is the machine that is kept.
func (w *world) keep(ctx context.Context, side Side, f *Front) (machine, error) {
	id := fmt.Sprint(side.Tool, side.Cache, f.Link)
	if m := w.kept[id]; m != nil {
		return m, nil
	}
	m, err := w.bench.newMachine(ctx, side, f)
	if err == nil {
		w.kept[id] = m
	}
	return m, err
}

func (b *bench) newMachine(ctx context.Context, side Side, f *Front) (machine, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	switch side.Tool {
	case Bake:
		return newBakeMachine(ctx, b.Buildx, b.Buildkitd, dir, f)
	case Buildx:
		return newSlipwayMachine(b.Buildx, dir, f)
	default:
		return newSlipwayMachine(b.Slipway, dir, f)
	}
}

// measure runs a side once.
func (w *world) measure(ctx context.Context, s Scenario, side Side) (_ Sample, err error) {
	registry := w.registry
	if s.Empty {
		if registry, err = w.bench.newRegistry(ctx, w.repo.Shape); err != nil {
			return Sample{}, err
		}
		defer func() { err = errors.Join(err, registry.Close(), removeAll(registry.dir)) }()
	}
	f, err := registry.Front(s.Link)
	if err != nil {
		return Sample{}, err
	}
	var m machine
	if side.Fresh {
		if m, err = w.bench.newMachine(ctx, side, f); err == nil {
			defer func() { err = errors.Join(err, m.close()) }()
		}
	} else {
		m, err = w.keep(ctx, side, f)
	}
	if err != nil {
		return Sample{}, err
	}
	c, err := m.command(s, side, w, f)
	if err != nil {
		return Sample{}, err
	}
	usage, err := m.usage()
	if err != nil {
		return Sample{}, err
	}
	before := f.Traffic()
	cost, output, err := measure(ctx, c)
	if err != nil {
		return Sample{}, err
	}
	daemon, err := usage()
	if err != nil {
		return Sample{}, err
	}
	cost.CPU += daemon.CPU
	cost.RSS += daemon.RSS
	return Sample{Cost: cost, Traffic: f.Traffic().Since(before), Runs: strings.Count(output, "work: ")}, nil
}

func (w *world) close() error {
	err := w.registry.Close()
	for _, m := range w.kept {
		err = errors.Join(err, m.close())
	}
	return errors.Join(err, removeAll(w.registry.dir), removeAll(filepath.Dir(w.repo.Dir)))
}
