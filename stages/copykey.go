package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"oras.land/oras-go/v2"
)

// CopyKey copies what a key names to the same key of another repository. A key
// that is there is left as it is: whoever made it, it is the key's result.
type CopyKey struct {
	Source oras.ReadOnlyTarget
	Target oci.Repository
	Key    string
	Copies *semaphore.Weighted // bounds copies, not look-ups

	progress func(done, total int64)
}

// Find asks the target for the key, with one request.
func (s *CopyKey) Find(ctx context.Context) (engine.Result, bool, error) {
	desc, found, err := oci.Lookup(ctx, s.Target, s.Key)
	if err != nil || !found {
		return nil, false, err
	}
	return s.image(desc), true, nil
}

// Run copies what the target lacks; the key comes last.
func (s *CopyKey) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	if err := s.Copies.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.Copies.Release(1)
	desc, err := s.Source.Resolve(ctx, s.Key)
	if err != nil {
		return nil, err
	}
	progress := s.progress
	if progress == nil {
		progress = func(done, total int64) {
			engine.Emit(ctx, engine.Event{Kind: engine.EventBytes, Step: "copying", Current: done, Total: total})
		}
	}
	if err := oci.Copy(ctx, s.Source, s.Target, desc, progress); err != nil {
		return nil, err
	}
	winner, err := oci.Claim(ctx, s.Target, desc, s.Key)
	if err != nil {
		return nil, err
	}
	return s.image(winner), nil
}

func (s *CopyKey) image(desc ocispec.Descriptor) Image {
	return Image{Repo: s.Target.Reference(), Tag: s.Key, Desc: desc}
}

// Keys lists the keys of a place, some at a time: there may be many.
type Keys func(ctx context.Context, some func(keys []string) error) error

// CopyKeys copies all keys of a place. It is one stage, as nobody wants to see a
// line for each.
type CopyKeys struct {
	Source oras.ReadOnlyTarget
	Keys   Keys
	Target oci.Repository
	Copies *semaphore.Weighted
}

// Find has nothing to go by.
func (s *CopyKeys) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run looks for each key in the target and copies those that are not there.
func (s *CopyKeys) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(engine.DefaultLookups)
	var mu sync.Mutex
	var done, total int64
	var copied, there int
	err := s.Keys(groupCtx, func(keys []string) error {
		for _, key := range keys {
			group.Go(func() error {
				one := &CopyKey{Source: s.Source, Target: s.Target, Key: key, Copies: s.Copies}
				_, found, err := one.Find(groupCtx)
				if err != nil {
					return err
				}
				var before, beforeOf int64
				one.progress = func(now, of int64) {
					mu.Lock()
					defer mu.Unlock()
					done, total = done+now-before, total+of-beforeOf
					before, beforeOf = now, of
					engine.Emit(ctx, engine.Event{Kind: engine.EventBytes, Step: "copying", Current: done, Total: total})
				}
				if !found {
					_, err = one.Run(groupCtx, nil)
				}
				mu.Lock()
				defer mu.Unlock()
				if found {
					there++
				} else if err == nil {
					copied++
				}
				return err
			})
		}
		return groupCtx.Err()
	})
	// A failed copy ends the listing, which then only says that it was ended.
	if err = cmp.Or(group.Wait(), err); err == nil && copied+there == 0 {
		err = errNoKeys
	}
	if err != nil {
		return nil, err
	}
	note(ctx, "%d keys were copied, %d were there", copied, there)
	return Published{moved: copied > 0}, nil
}

var errNoKeys = errors.New("there is nothing to copy: it holds no keys, which are tags of 64 hexadecimal digits")

// ArchiveKeys writes keys, with what they name, into a file.
type ArchiveKeys struct {
	Source oras.ReadOnlyTarget
	Keys   Keys
	Path   string
}

// maxArchived is how many keys an archive's index.json may name.
const maxArchived = 200_000

// Find has nothing to go by.
func (s *ArchiveKeys) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run writes the file unless it is as it would be.
func (s *ArchiveKeys) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	var keys []string
	err := s.Keys(ctx, func(some []string) error {
		if keys = append(keys, some...); len(keys) > maxArchived {
			return fmt.Errorf("there are more than the %d keys that an archive can hold: copy those of the current commit", maxArchived)
		}
		return ctx.Err()
	})
	if err == nil && len(keys) == 0 {
		err = errNoKeys
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	whole := &Archive{Path: s.Path}
	for some := range slices.Chunk(keys, planAtOnce) {
		if err := s.plan(ctx, whole, some); err != nil {
			return nil, err
		}
	}
	if whole.written(ctx) {
		return Published{}, nil
	}
	if _, err := whole.Run(ctx, nil); err != nil {
		return nil, err
	}
	return Published{moved: true}, nil
}

// planAtOnce bounds the keys whose plans are held before what they share is known.
const planAtOnce = 1000

// plan adds keys to an archive, in their order, however the answers arrive.
func (s *ArchiveKeys) plan(ctx context.Context, whole *Archive, keys []string) error {
	parts := make([]Archive, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(engine.DefaultLookups)
	for i, key := range keys {
		group.Go(func() error {
			desc, err := s.Source.Resolve(ctx, key)
			if err != nil {
				return err
			}
			parts[i].Name(desc, key)
			return parts[i].Add(ctx, s.Source, desc)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range parts {
		whole.join(&parts[i])
	}
	return nil
}
