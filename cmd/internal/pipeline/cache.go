package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/stages"

	"github.com/containerd/platforms"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// CacheOptions say where the layers of a build's steps are kept, for machines that
// have no state of their own. The zero value keeps them all, beside the images.
type CacheOptions struct {
	Mode  string   // max, all steps; min, those of the image only; off; "" is max
	Repos []string // where caches are kept; none is Options.Repo, if that is in a registry
	// Branch, Target and Main are what CI calls the branch that is built, the one
	// that it is to be merged into, and the project's main one; git knows better. They
	// only say where a cache is kept.
	Branch, Target, Main string
}

const (
	// maxSiblings bounds the images that share a Dockerfile and whose caches an
	// image is offered: there may be hundreds.
	maxSiblings = 4
	// parallelCaches is how many caches are stored at once, beside builds.
	parallelCaches = 4
	// lookPatience is how long a build waits to hear whether there is a cache, and
	// storePatience how long the end of a run does for caches to be stored.
	lookPatience  = 10 * time.Second
	storePatience = 10 * time.Minute
)

// layers are the layer caches of a run. Whatever is wrong with one is told once,
// and then the run does without. nil is a run without caches.
type layers struct {
	options CacheOptions
	plan    *planner.Plan
	solver  stages.Solver
	bases   *bases
	sinks   []engine.Sink
	repos   []oci.Repository
	turns   *semaphore.Weighted
	stores  sync.WaitGroup
	late    context.Context // ends when stores have taken too long
	stop    context.CancelFunc

	asked    sync.Once
	branches []string // to look for, in this order; the first is the one to store for
	lookups  sync.Map // reference -> func() bool
	broken   sync.Map // of the repositories that cannot be used, by name
}

func knownCacheMode(mode string) bool {
	return slices.Contains([]string{"", "max", "min", "off"}, mode)
}

// newLayers checks the options; r.repo is open.
func newLayers(r *run) (*layers, error) {
	o := r.options.Cache
	if !knownCacheMode(o.Mode) {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("--cache %q is not known", o.Mode), Advice: "it can be max, min or off"}
	}
	var repos []oci.Repository
	for _, name := range o.Repos {
		repo, err := r.repository("--cache-repo", name)
		if err != nil {
			return nil, err
		}
		if repo.Reference().IsLayout() {
			return nil, &diag.Diagnostic{Message: fmt.Sprintf("--cache-repo %s: layer caches are kept in registries", name), Advice: "write HOST/NAME"}
		}
		if !slices.Contains(repos, repo) {
			repos = append(repos, repo)
		}
	}
	if len(o.Repos) == 0 && !r.repo.Reference().IsLayout() {
		repos = append(repos, r.repo)
	}
	if o.Mode == "off" || len(repos) == 0 {
		return nil, nil
	}
	late, stop := context.WithCancel(context.Background())
	return &layers{
		late: late, stop: stop,
		options: o, plan: r.plan, solver: r.solver, bases: r.bases, sinks: r.options.Sinks, repos: repos, turns: semaphore.NewWeighted(parallelCaches),
	}, nil
}

// from are the caches that a build of an image may find its layers in: its own, of
// this branch and then of the main one, and those of images with the same
// Dockerfile.
func (l *layers) from(ctx context.Context, image *planner.Image, b *planner.Build) []oci.Reference {
	if l == nil {
		return nil
	}
	var refs []oci.Reference
	var there []func() bool
	for _, name := range append([]string{image.Name}, l.siblings(image)...) {
		for _, branch := range l.known(ctx) {
			for _, repo := range l.repos {
				tag := l.tag(name, b, branch)
				ref := repo.Reference().WithTag(tag)
				once := sync.OnceValue(func() bool { return l.look(ctx, repo, tag) })
				known, _ := l.lookups.LoadOrStore(ref.String(), once)
				refs, there = append(refs, ref), append(there, known.(func() bool))
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(engine.DefaultLookups)
	for _, look := range there {
		group.Go(func() error { look(); return nil })
	}
	group.Wait() //nolint:errcheck // none returns one
	var found []oci.Reference
	for i, ref := range refs {
		if there[i]() {
			found = append(found, ref)
		}
	}
	return found
}

// look asks for a cache, with one request: the first run finds none.
func (l *layers) look(ctx context.Context, repo oci.Repository, tag string) bool {
	if _, broken := l.broken.Load(repo.Reference().Name()); broken {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	_, found, err := oci.Lookup(bounded, repo, tag)
	if err != nil && bounded.Err() != nil {
		err = fmt.Errorf("no answer for %s", lookPatience)
	}
	if err != nil {
		l.fail(ctx, repo, "looked for", err)
	}
	return found
}

// siblings are the images that share a Dockerfile with this one, the next in
// werf.yaml first.
func (l *layers) siblings(image *planner.Image) []string {
	names := l.plan.Sharing[image.Dockerfile]
	if i := slices.Index(names, image.Name); i >= 0 {
		names = slices.Concat(names[i+1:], names[:i])
	}
	return names[:min(len(names), maxSiblings)]
}

// known are the branches whose caches are looked for. git is asked once, and only
// where something has to be built; if it cannot tell, CI may. What is to be merged
// and is called as the branch that it is to be merged into comes from a fork: it
// has a cache of its own.
func (l *layers) known(ctx context.Context) []string {
	l.asked.Do(func() {
		o := l.options
		current, main, _ := l.plan.Source.Branches(ctx) //nolint:errcheck // as if it knew of none
		current = cmp.Or(current, o.Branch)
		others := []string{o.Target, cmp.Or(o.Main, main)}
		if others[1] == "" {
			others = append(others, "main", "master")
		}
		if o.Target != "" && slices.Contains(others, current) {
			current = "merged:" + current // no branch has a colon
		}
		l.branches = []string{current}
		for _, name := range others {
			if name != "" && !slices.Contains(l.branches, name) {
				l.branches = append(l.branches, name)
			}
		}
	})
	return l.branches
}

// tag is where the cache of an image is kept: one for each platform and branch. It
// is a valid tag whatever their names are, never that of a key, and never that of
// another cache.
func (l *layers) tag(image string, b *planner.Build, branch string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{l.plan.Project, image, platforms.FormatAll(b.Platform), branch}, "\x00")))
	return fmt.Sprintf("cache-%s-%s-%x", readable(cmp.Or(image, l.plan.Project)), readable(cmp.Or(branch, "detached")), sum[:8])
}

// readable is enough of a name for people to know it by.
func readable(name string) string {
	name = slugify(name)
	return name[:min(len(name), 40)]
}

// store stores the cache of a build that has been run, while the run goes on.
func (l *layers) store(ctx context.Context, image *planner.Image, b *planner.Build, id string, build stages.Build) {
	for _, repo := range l.repos {
		id := "cache of " + id
		if len(l.repos) > 1 {
			id += " in " + repo.Reference().Name()
		}
		failed := func(ctx context.Context, err error) { l.fail(ctx, repo, "stored", err) }
		apart, err := dockerfile.Apart(build.Definition)
		if err != nil {
			failed(ctx, err)
			continue
		}
		build.CacheTo = &stages.CacheTo{
			Ref: repo.Reference().WithTag(l.tag(image.Name, b, l.known(ctx)[0])), Definition: apart, Min: l.options.Mode == "min", BaseLayers: l.bases.layers(),
		}
		node := &engine.Node{ID: id, Kind: "cache", Stage: &stages.Cache{Solver: l.solver, Build: build, Late: l.late, Failed: failed}}
		l.stores.Go(func() {
			if l.turns.Acquire(ctx, 1) != nil {
				return // the run was cancelled
			}
			defer l.turns.Release(1)
			if _, broken := l.broken.Load(repo.Reference().Name()); !broken {
				engine.Run(ctx, []*engine.Node{node}, engine.Options{Sinks: l.sinks}) //nolint:errcheck // all that can fail it is Ctrl-C
			}
		})
	}
}

// wait returns when all caches are stored, or the run was cancelled, or it has
// taken too long.
func (l *layers) wait() {
	if l == nil {
		return
	}
	defer time.AfterFunc(storePatience, l.stop).Stop()
	l.stores.Wait()
}

// fail gives up on a repository of caches, and tells so once.
func (l *layers) fail(ctx context.Context, repo oci.Repository, what string, err error) {
	if _, told := l.broken.LoadOrStore(repo.Reference().Name(), true); !told && ctx.Err() == nil {
		engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: fmt.Sprintf(
			"layer caches cannot be %s in %s, and the run goes on without (--cache off asks for none): %v", what, repo.Reference().Name(), err)})
	}
}

// serial is sinks that several runs of the engine tell of their events.
type serial struct {
	mu    sync.Mutex
	sinks []engine.Sink
}

func (s *serial) Event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sink := range s.sinks {
		sink.Event(e)
	}
}
