package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Item is one thing that is kept in the state directory.
type Item struct {
	// Kind is "builds" for a slot, "broken" for one that is set aside, "images" for
	// a project's own repository, and else the name of what it is: "charts", "tokens".
	Kind string    `json:"kind"`
	Path string    `json:"path"`
	Size int64     `json:"size"` // bytes on disk
	Used time.Time `json:"used"` // when it was last used or changed
	// PID is the process that uses a slot; 0 if none does, -1 if that is not known.
	PID int `json:"pid,omitempty"`
	// Incomplete: not all could be read, as other users own it.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Slots is where, in the state directory, the slots are; Images is where the
// repositories of projects are that are given none.
const (
	Slots  = "buildkit"
	Images = "repos"
)

// Usage lists what the state directory holds. It counts files, and so takes its
// time.
func Usage(ctx context.Context, dir string) ([]Item, error) {
	items := []Item{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return items, nil
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch e.Name() {
		case Slots:
			slots, err := slotItems(ctx, path)
			if err != nil {
				return nil, err
			}
			items = append(items, slots...)
		case Images:
			repos, err := os.ReadDir(path)
			if err != nil {
				return nil, err
			}
			for _, r := range repos {
				items = append(items, measure(ctx, Item{Kind: "images", Path: filepath.Join(path, r.Name())}))
			}
		default:
			items = append(items, measure(ctx, Item{Kind: e.Name(), Path: path}))
		}
	}
	return items, errors.Join(err, context.Cause(ctx))
}

func slotItems(ctx context.Context, dir string) ([]Item, error) {
	slots, aside, rubbish, err := list(dir)
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, s := range append(slots, aside...) {
		i := Item{Kind: "builds", Path: s.path, Used: s.used, PID: s.owner()}
		if s.number < 0 {
			i.Kind = "broken"
		}
		i = measure(ctx, i)
		if i.Incomplete {
			i.Size = max(i.Size, s.size(ctx))
		}
		items = append(items, i)
	}
	for _, path := range rubbish {
		items = append(items, measure(ctx, Item{Kind: strings.Trim(removed, ".-"), Path: path}))
	}
	return items, nil
}

// measure fills in what is not known of an item.
func measure(ctx context.Context, i Item) Item {
	size, complete := count(ctx, i.Path)
	i.Size, i.Incomplete = size, !complete
	if info, err := os.Stat(i.Path); err == nil && i.Used.IsZero() {
		i.Used = info.ModTime()
	}
	return i
}
