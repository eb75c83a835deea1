package source

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
)

// Listing is what a local source with some patterns reads of a context. All who ask
// for the same share one.
type Listing struct {
	Entries []Entry // in the order of a walk

	once    sync.Once
	derived []byte

	mu                sync.Mutex // a matcher compiles its patterns when it first matches
	ignored, followed *patternmatcher.PatternMatcher
}

// Derive is what derive makes of the listing, made once for all who share it: it
// has to be the same for each of them.
func (l *Listing) Derive(derive func([]Entry) []byte) []byte {
	l.once.Do(func() { l.derived = derive(l.Entries) })
	return l.derived
}

// Covers tells whether a path of the context is in the listing, or would be if it
// were there.
func (l *Listing) Covers(name string) bool {
	if _, ok := sort.Find(len(l.Entries), func(i int) int { return comparePath(name, l.Entries[i].Path) }); ok {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.followed.Patterns()) > 0 { // none is everything
		if followed, err := matches(l.followed, name); err != nil || !followed {
			return false
		}
	}
	ignored, err := matches(l.ignored, name)
	return err == nil && !ignored
}

// matches asks a matcher as the filter does, from the top down: what it says of a
// path depends on what it said of the directories above.
func matches(m *patternmatcher.PatternMatcher, name string) (matched bool, err error) {
	var above patternmatcher.MatchInfo
	for end := 0; end < len(name) && err == nil; {
		if next := strings.IndexByte(name[end+1:], '/'); next >= 0 {
			end += 1 + next
		} else {
			end = len(name)
		}
		matched, above, err = m.MatchesUsingParentResults(name[:end], above)
	}
	return matched, err
}

// listings are those of a context that were made so far, by their patterns: images
// often read the same of it.
type listings struct {
	mu   sync.Mutex
	made map[string]*sharedListing
}

type sharedListing struct {
	mu      sync.Mutex // held while it is being made
	listing *Listing
}

func (l *listings) of(excludes, follow []string) *sharedListing {
	key := fmt.Sprintf("%q %q", excludes, follow)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		l.made = map[string]*sharedListing{}
	}
	if l.made[key] == nil {
		l.made[key] = &sharedListing{}
	}
	return l.made[key]
}

// Listing is what Filter's walk would send, with what identifies it: the object
// id of a file, the target of a symbolic link. Directories are included. No
// process is asked for anything but the targets of links.
func (c *Context) Listing(ctx context.Context, excludes, followPaths []string) (*Listing, error) {
	follow, err := c.Follow(followPaths)
	if err != nil {
		return nil, fmt.Errorf("filter the build context: %w", err)
	}
	shared := c.listings.of(excludes, follow)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.listing == nil {
		l := &Listing{}
		if l.Entries, err = c.list(ctx, excludes, followPaths); err != nil {
			return nil, err
		}
		if l.ignored, err = patternmatcher.New(excludes); err == nil {
			l.followed, err = patternmatcher.New(follow)
		}
		if err != nil { // it was good enough for the filter
			return nil, fmt.Errorf("list the build context: %w", err)
		}
		shared.listing = l
	}
	return shared.listing, nil
}

func (c *Context) list(ctx context.Context, excludes, followPaths []string) ([]Entry, error) {
	unsized := *c
	unsized.unsized = true
	f, err := unsized.Filter(excludes, followPaths)
	if err != nil {
		return nil, err
	}
	v := unsized.view() // with the submodules that the filter lets through
	var found []int32   // in the tree: there may be many, so that they are counted first
	at := 0             // in its order, which the filter keeps: mostly the next one
	err = f.Walk(ctx, "/", func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		if at++; at >= len(v.tree) || v.tree[at].Path != p {
			var known bool
			if at, known = v.find(p); !known {
				return fmt.Errorf("the filter made up %q", p)
			}
		}
		found = append(found, int32(at))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the build context: %w", err)
	}
	list := make([]Entry, len(found))
	for i, at := range found {
		list[i] = v.tree[at].Entry
		if list[i].Mode&fs.ModeSymlink != 0 {
			if list[i].Link, err = v.tree[at].repo.link(list[i].OID); err != nil {
				return nil, fmt.Errorf("list the build context: %w", err)
			}
		}
	}
	return list, nil
}
