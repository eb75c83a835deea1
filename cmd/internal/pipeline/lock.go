package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/planner/diag"
	"slipway/planner/lock"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// LockOptions are what lock takes beside Options.
type LockOptions struct {
	// Update resolves bases anew that the file has: those named, or all.
	Update bool
	Names  []string
	// Check compares the file with what names stand for now, and writes nothing.
	Check bool
}

// LockChange is a base whose entry is not what it was.
type LockChange struct {
	Name     string
	Old, New string // digests; "" where there is no entry
}

// Lock writes the project's lock file, or checks it, and tells what changed. The
// file is that of the work tree: it is there to be committed.
func Lock(ctx context.Context, o Options, l LockOptions) (_ []LockChange, err error) {
	o.Project.NoLock = true
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	dir := r.plan.Source.Dir()
	if dir == "" {
		return nil, &diag.Diagnostic{Message: "a bare repository has no place for " + lock.FileName, Advice: "run slipway lock in a work tree"}
	}
	path := filepath.Join(dir, lock.FileName)
	old, err := readLockFile(path)
	if err != nil {
		return nil, err
	}
	wanted := r.wantedBases()
	again, err := l.again(wanted)
	if err != nil {
		return nil, err
	}
	file := &lock.File{Bases: map[string]lock.Base{}}
	var missing []wantedBase
	for _, w := range wanted {
		if kept, ok := old.Bases[w.name]; ok && !l.Check && !again[w.name] {
			file.Bases[w.name] = kept
			continue
		}
		missing = append(missing, w)
	}
	resolved, err := r.lockBases(ctx, missing)
	if err != nil {
		return nil, err
	}
	maps.Copy(file.Bases, resolved)
	changes := lockChanges(old, file)
	if l.Check || len(changes) == 0 {
		return changes, nil
	}
	text, err := file.Marshal()
	if err != nil {
		return nil, err
	}
	return changes, replaceFile(path, text)
}

// again is the set of bases to resolve anew.
func (l LockOptions) again(wanted []wantedBase) (map[string]bool, error) {
	again := map[string]bool{}
	for _, w := range wanted {
		again[w.name] = l.Update && (len(l.Names) == 0 || slices.ContainsFunc(l.Names, w.is))
	}
	for _, name := range l.Names {
		if !slices.ContainsFunc(wanted, func(w wantedBase) bool { return w.is(name) }) {
			return nil, &diag.Diagnostic{Message: fmt.Sprintf("no image is made from %q", name), Advice: "slipway plan shows the bases"}
		}
	}
	return again, nil
}

// wantedBase is a base that some build of the project is made from.
type wantedBase struct {
	name     string
	platform ocispec.Platform // one that it is used for
}

// is tells whether people mean this base by a name: node, node:22 or all of it.
func (w wantedBase) is(name string) bool {
	return w.name == name || w.name == name+":latest" || strings.HasSuffix(w.name, "/"+name) || strings.HasSuffix(w.name, "/"+name+":latest")
}

func (r *run) wantedBases() []wantedBase {
	var out []wantedBase
	for _, image := range r.plan.Images {
		for _, b := range image.Builds {
			for _, name := range b.Recipe.Bases {
				if !slices.ContainsFunc(out, func(w wantedBase) bool { return w.name == name }) {
					out = append(out, wantedBase{name: name, platform: b.Platform})
				}
			}
		}
	}
	return out
}

// lockBases asks registries what the bases stand for now.
func (r *run) lockBases(ctx context.Context, wanted []wantedBase) (map[string]lock.Base, error) {
	entries := make([]lock.Base, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, w := range wanted {
		group.Go(func() error {
			dgst, config, err := r.bases.ResolveImage(ctx, w.name, w.platform)
			if err != nil {
				return err
			}
			var img dockerspec.DockerOCIImage
			if err := json.Unmarshal(config, &img); err != nil {
				return fmt.Errorf("reading the config of %s: %w", w.name, err)
			}
			entries[i] = lock.Base{Digest: dgst, OnBuild: img.Config.OnBuild}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := map[string]lock.Base{}
	for i, w := range wanted {
		// The Dockerfile pins a base by itself that it gives by digest.
		if !strings.Contains(w.name, "@") || len(entries[i].OnBuild) > 0 {
			out[w.name] = entries[i]
		}
	}
	return out, nil
}

func lockChanges(old, now *lock.File) []LockChange {
	names := slices.Sorted(maps.Keys(old.Bases))
	for name := range now.Bases {
		if _, ok := old.Bases[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var changes []LockChange
	for _, name := range names {
		was, had := old.Bases[name]
		is, has := now.Bases[name]
		if had != has || !was.Equal(is) {
			changes = append(changes, LockChange{Name: name, Old: was.Digest.String(), New: is.Digest.String()})
		}
	}
	return changes
}

func readLockFile(path string) (*lock.File, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &lock.File{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lock file: %w", err)
	}
	return lock.Parse(lock.FileName, text)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
