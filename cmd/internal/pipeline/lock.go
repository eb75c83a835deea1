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

	"slipway/cmd/internal/remote"
	"slipway/engine"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/planner/lock"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// LockOptions are what lock takes beside Options.
type LockOptions struct {
	// Update resolves what the file has anew: what is named, or all.
	Update bool
	Names  []string
	// Check compares the file with what names stand for now, and writes nothing.
	Check bool
}

// LockChange is a base or a remote whose entry is not what it was.
type LockChange struct {
	Name     string
	Old, New string // digests or commits; "" where there is no entry
}

// Lock writes the project's lock file, or checks it, and tells what changed. The
// file is that of the work tree: it is there to be committed.
func Lock(ctx context.Context, o Options, l LockOptions) (_ []LockChange, err error) {
	file := &lock.File{Draft: true, Bases: map[string]lock.Base{}, Remotes: map[string]lock.Remote{}}
	o.Project.Lock = file
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
	if err := l.checkNames(r.wantedBases(), r.wantedRemotes()); err != nil {
		return nil, err
	}
	for more := true; more; {
		if err := r.extend(ctx, l, old, file); err != nil {
			return nil, err
		}
		if more, err = r.triggered(ctx, file); err != nil {
			return nil, err
		}
	}
	changes := append(lockChanges(old.Bases, file.Bases), lockChanges(old.Remotes, file.Remotes)...)
	if l.Check || len(changes) == 0 {
		return changes, nil
	}
	text, err := file.Marshal()
	if err != nil {
		return nil, err
	}
	return changes, replaceFile(path, text)
}

// extend adds to the file what the plan wants and the file lacks: as the old file
// has it, or as it is now.
func (r *run) extend(ctx context.Context, l LockOptions, old, file *lock.File) error {
	bases := slices.DeleteFunc(r.wantedBases(), func(w wantedBase) bool {
		if _, done := file.Bases[w.name]; done {
			return true
		}
		kept, ok := old.Bases[w.name]
		if ok = ok && !l.again(w.is); ok {
			file.Bases[w.name] = kept
		}
		return ok
	})
	remotes := slices.DeleteFunc(r.wantedRemotes(), func(w wantedRemote) bool {
		kept, ok := old.Remotes[w.Name]
		if ok = ok && (kept.Commit != "") == w.Git && !l.again(w.is); ok {
			file.Remotes[w.Name] = kept
		}
		return ok
	})
	if err := r.lockBases(ctx, bases, file); err != nil {
		return err
	}
	return r.lockRemotes(ctx, remotes, file)
}

// triggered plans again if bases turned out to have ONBUILD triggers: they are part
// of the Dockerfiles that use them, and can want more. It tells whether they do.
func (r *run) triggered(ctx context.Context, file *lock.File) (bool, error) {
	known := func() bool {
		return !slices.ContainsFunc(r.wantedBases(), func(w wantedBase) bool {
			_, ok := file.Bases[w.name]
			return !ok && !strings.Contains(w.name, "@")
		}) && len(r.wantedRemotes()) == 0
	}
	triggers := func(b lock.Base) bool { return len(b.OnBuild) > 0 }
	if !slices.ContainsFunc(slices.Collect(maps.Values(file.Bases)), triggers) {
		return false, nil
	}
	plan, err := planner.Load(ctx, r.options.Project)
	if err != nil {
		return false, err
	}
	err = r.plan.Close()
	r.plan = plan
	return !known(), err
}

// again tells whether an entry that the file has is resolved anew.
func (l LockOptions) again(is func(name string) bool) bool {
	return l.Check || l.Update && (len(l.Names) == 0 || slices.ContainsFunc(l.Names, is))
}

// checkNames refuses a name that nothing has.
func (l LockOptions) checkNames(bases []wantedBase, remotes []wantedRemote) error {
	var known []string
	for _, w := range bases {
		known = append(known, w.name)
	}
	for _, w := range remotes {
		known = append(known, w.Name)
	}
	for _, name := range l.Names {
		if slices.ContainsFunc(bases, func(w wantedBase) bool { return w.is(name) }) ||
			slices.ContainsFunc(remotes, func(w wantedRemote) bool { return w.is(name) }) {
			continue
		}
		return &diag.Diagnostic{
			Message: fmt.Sprintf("no image is made from %q", engine.Redact(name)),
			Advice:  "what can be named is " + strings.Join(known, ", "),
		}
	}
	return nil
}

// lockBases asks registries what the bases stand for now.
func (r *run) lockBases(ctx context.Context, wanted []wantedBase, file *lock.File) error {
	entries, err := resolveAll(ctx, wanted, func(ctx context.Context, w wantedBase) (lock.Base, error) {
		dgst, config, err := r.bases.ResolveImage(ctx, w.name, w.platform)
		if err != nil {
			return lock.Base{}, err
		}
		var img dockerspec.DockerOCIImage
		if err := json.Unmarshal(config, &img); err != nil {
			return lock.Base{}, fmt.Errorf("reading the config of %s: %w", w.name, err)
		}
		return lock.Base{Digest: dgst, OnBuild: img.Config.OnBuild}, nil
	})
	for i, entry := range entries {
		// The Dockerfile pins a base by itself that it gives by digest.
		if name := wanted[i].name; !strings.Contains(name, "@") || len(entry.OnBuild) > 0 {
			file.Bases[name] = entry
		}
	}
	return err
}

// lockRemotes asks servers what the remotes are now.
func (r *run) lockRemotes(ctx context.Context, wanted []wantedRemote, file *lock.File) error {
	entries, err := resolveAll(ctx, wanted, func(ctx context.Context, w wantedRemote) (entry lock.Remote, err error) {
		resolver := remote.Resolver{Dir: r.plan.Source.Dir(), Secret: func(id string) ([]byte, bool, error) {
			for _, s := range w.secrets {
				if s.ID == id {
					value, err := r.secret(s)
					return value, true, err
				}
			}
			return nil, false, nil
		}}
		if w.Git {
			entry.Commit, err = resolver.Commit(ctx, w.Remote)
		} else {
			entry.Digest, err = resolver.Digest(ctx, w.Remote)
		}
		return entry, err
	})
	for i, entry := range entries {
		file.Remotes[wanted[i].Name] = entry
	}
	return err
}

// resolveAll resolves several names at once, eight at a time.
func resolveAll[W, E any](ctx context.Context, wanted []W, resolve func(context.Context, W) (E, error)) ([]E, error) {
	entries := make([]E, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, w := range wanted {
		group.Go(func() (err error) {
			entries[i], err = resolve(ctx, w)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return entries, nil
}

// lockChanges compares the entries of a section, in the order of their names.
func lockChanges[E interface {
	Equal(E) bool
	ID() string
}](old, now map[string]E) []LockChange {
	all := maps.Clone(now)
	maps.Copy(all, old)
	var changes []LockChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := old[name]
		is, has := now[name]
		if had != has || !was.Equal(is) {
			changes = append(changes, LockChange{Name: name, Old: was.ID(), New: is.ID()})
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
