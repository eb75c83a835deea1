package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/moby/buildkit/client"
)

// Cache is BuildKit's cache in a slot that is in use: its worker, or what speaks
// for it. Prune without a rule deletes what no record refers to.
type Cache interface {
	DiskUsage(ctx context.Context, info client.DiskUsageInfo) ([]*client.UsageInfo, error)
	Prune(ctx context.Context, freed chan client.UsageInfo, rules ...client.PruneInfo) error
}

// Keep says what is kept.
type Keep struct {
	// Limit is how much all slots take together, at most.
	Limit Limit
	// OlderThan drops what was not used for so long; 0 drops nothing for its age.
	OlderThan time.Duration
	// None drops everything.
	None bool
}

// Collected is what a collection came to, in bytes.
type Collected struct {
	Before, After int64
	// Limit is what Keep.Limit is on this disk.
	Limit int64
	// InUse is how many other slots were left alone, since runs use them.
	InUse int
}

// unusedFor is how long a slot that many runs at once have needed is kept when it
// is not needed again.
const unusedFor = 14 * 24 * time.Hour

// collection is one pass over the slots below a directory.
type collection struct {
	ctx  context.Context
	keep Keep
	Collected
}

// Collect brings the slots below dir within bounds: whole ones that nobody uses
// first, the one used longest ago first.
func Collect(ctx context.Context, dir string, keep Keep) (Collected, error) {
	c := &collection{ctx: ctx, keep: keep}
	err := c.others(dir, "", 0)
	return c.Collected, err
}

// Collect is the function of that name, with this store to make smaller, through
// its cache, if removing others does not suffice. When ctx ends it stops, having
// freed less; the next one goes on.
func (s *Store) Collect(ctx context.Context, cache Cache, keep Keep) (Collected, error) {
	c := &collection{ctx: ctx, keep: keep}
	own, err := used(ctx, cache)
	if err == nil {
		err = c.others(filepath.Dir(s.path), s.path, own)
	}
	if err == nil {
		err = c.own(s, cache, own)
	}
	return c.Collected, err
}

// others removes slots that nobody uses. The size of the own one is given.
func (c *collection) others(dir, own string, size int64) error {
	slots, aside, rubbish, err := list(dir)
	if err != nil || len(slots)+len(aside)+len(rubbish) == 0 {
		return err
	}
	var errs []error
	for _, path := range rubbish {
		errs = append(errs, removeAll(c.ctx, path))
	}
	slots = slices.DeleteFunc(append(slots, aside...), func(s slot) bool { return s.path == own })
	sizes := make([]int64, len(slots))
	c.Before = size
	for i, s := range slots {
		sizes[i] = s.size(c.ctx)
		c.Before += sizes[i]
	}
	c.After = c.Before
	if c.Limit, err = c.keep.Limit.bytes(dir, c.Before); err != nil {
		return err
	}
	for i, s := range slices.Backward(slots) {
		age := time.Since(s.used)
		late := age > unusedFor || c.keep.OlderThan > 0 && age > c.keep.OlderThan
		if c.ctx.Err() != nil {
			break
		}
		file, err := s.lock()
		if file == nil || err != nil {
			c.InUse++
			errs = append(errs, err)
			continue
		}
		if c.keep.None || late || c.After > c.Limit {
			errs = append(errs, sweep(s.path, func(string) {}), s.remove(c.ctx))
			c.After -= sizes[i]
		}
		file.Close()
	}
	return errors.Join(errs...)
}

// spare is the part of the limit that is freed beyond it, so that not every run
// has something to free.
const spare = 10

// What the own cache is made smaller by at a time: a part of what is too much, but
// not less than this many bytes.
const (
	steps   = 16
	minStep = 64 << 20
)

// own makes the store's own cache smaller and writes down its size.
func (c *collection) own(s *Store, cache Cache, size int64) error {
	var rules []client.PruneInfo
	if c.keep.None {
		rules = append(rules, client.PruneInfo{All: true})
	}
	if c.keep.OlderThan > 0 {
		rules = append(rules, client.PruneInfo{All: true, KeepDuration: c.keep.OlderThan})
	}
	if excess := c.After - c.Limit; excess > 0 {
		// In steps, since BuildKit deletes files without looking at the time.
		excess += c.Limit / spare
		step := max(excess/steps, minStep)
		for keep := size - step; keep > size-excess; keep -= step {
			rules = append(rules, client.PruneInfo{All: true, MaxUsedSpace: max(1, keep)})
		}
		rules = append(rules, client.PruneInfo{All: true, MaxUsedSpace: max(1, size-excess)})
	}
	if err := cache.Prune(c.ctx, nil); err != nil && c.ctx.Err() == nil {
		return fmt.Errorf("clearing away what failed and killed builds have left: %w", err)
	}
	for _, rule := range rules {
		if c.ctx.Err() != nil {
			break
		}
		if err := cache.Prune(c.ctx, nil, rule); err != nil && c.ctx.Err() == nil {
			return fmt.Errorf("collecting the state of builds: %w", err)
		}
	}
	if len(rules) > 0 {
		now, err := used(context.WithoutCancel(c.ctx), cache)
		if err != nil {
			return err
		}
		c.After += now - size
		size = now
	}
	return os.WriteFile(filepath.Join(s.path, sizeName), []byte(strconv.FormatInt(size, 10)), 0o600)
}

// used is what a cache takes, in bytes.
func used(ctx context.Context, cache Cache) (size int64, err error) {
	records, err := cache.DiskUsage(ctx, client.DiskUsageInfo{})
	if err != nil {
		return 0, fmt.Errorf("asking BuildKit what its state takes: %w", err)
	}
	for _, r := range records {
		size += r.Size
	}
	return size, nil
}
