package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"slipway/engine"
	"slipway/stages"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// builder is one BuildKit, as the pool sees it.
type builder interface {
	// connect tells the platforms that the builder runs, its own first.
	connect(ctx context.Context) ([]ocispec.Platform, error)
	// solve returns a *lostError if the builder was lost on the way: then the build
	// may succeed elsewhere. Any other error is the build's own.
	solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error)
	close() error
}

// lostError is the end of a builder, not of a build.
type lostError struct{ cause error }

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// pool chooses builders, counts what they do, and leaves out those that die.
type pool struct {
	members []*member

	connecting sync.Mutex // held while connecting
	connected  bool

	built sync.Map // *llb.Definition -> *member: see store

	mu      sync.Mutex
	changed chan struct{} // closed when a place gets free or a builder is lost
}

// member is a builder with what the pool knows of it; but for what never changes,
// it is guarded by pool.mu.
type member struct {
	builder
	name      string
	limit     int // builds at once; 0 means any number
	platforms []ocispec.Platform
	running   int
	lost      error // what happened to it; nil while it lives
}

func newPool() *pool { return &pool{changed: make(chan struct{})} }

func (p *pool) add(name string, limit int, b builder) {
	p.members = append(p.members, &member{builder: b, name: name, limit: limit})
}

// maxLost is how many builders one build may lose: a build that is the end of each
// builder that takes it must not be the end of all.
const maxLost = 3

func (p *pool) solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	if b.CacheTo != nil {
		return p.store(ctx, b)
	}
	wants, err := wantsOf(b)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := p.connect(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	for lost := 1; ; lost++ {
		m, err := p.take(ctx, wants)
		if err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("building %s: %w", b.Name, err)
		}
		if len(p.members) > 1 {
			engine.Emit(ctx, engine.Event{Kind: engine.EventLog, Text: "building on " + m.name + "\n"})
		}
		desc, err := m.solve(ctx, b)
		var end *lostError
		if !errors.As(err, &end) || ctx.Err() != nil {
			p.release(m, nil)
			p.built.Store(b.Definition, m)
			return desc, err
		}
		if p.release(m, fmt.Errorf("lost while it built %s: %w", b.Name, end)) {
			engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: fmt.Sprintf("%s is left out from here on: %v", m.name, end)})
		}
		if lost == maxLost {
			return ocispec.Descriptor{}, fmt.Errorf("building %s: %d builders were lost while they built it, and no more are risked:%s", b.Name, lost, p.describe())
		}
	}
}

// store stores the layer cache of a build that has been run, on the builder that
// ran it: any other would have to run it again. It takes no place from builds.
func (p *pool) store(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	m, ok := p.built.Load(b.Definition)
	if !ok {
		return ocispec.Descriptor{}, fmt.Errorf("storing the layer cache of %s: no builder has built it", b.Name)
	}
	return m.(*member).solve(ctx, b)
}

// connect connects to all builders at once, the first time. Those that cannot be
// reached are left out.
func (p *pool) connect(ctx context.Context) error {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.connected {
		return nil
	}
	var group sync.WaitGroup
	for _, m := range p.members {
		group.Go(func() {
			found, err := m.connect(ctx)
			if err == nil && len(found) == 0 {
				err = errors.New("it has no worker")
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			m.platforms, m.lost = found, err
		})
	}
	group.Wait()
	if ctx.Err() != nil { // then what the builders said means nothing
		return context.Cause(ctx)
	}
	p.connected = true
	if len(p.living()) == 0 {
		return nil // which is an error of those who want one
	}
	for _, m := range p.members {
		if m.lost != nil {
			engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: fmt.Sprintf("%s is left out: %v", m.name, m.lost)})
		}
	}
	return nil
}

// take waits for a place at the first builder of the build's ranking that has one.
func (p *pool) take(ctx context.Context, w wants) (*member, error) {
	for {
		m, changed, err := p.tryTake(w)
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryTake returns no member if all that could do the build are full; then a close
// of changed says that asking again may help.
func (p *pool) tryTake(w wants) (_ *member, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	living := p.living()
	if len(living) == 0 {
		return nil, nil, errors.New("no builder is left:" + p.list())
	}
	ranked := rank(living, w)
	if len(ranked) == 0 {
		return nil, nil, fmt.Errorf("no builder runs %s, which a RUN needs:%s\n  name one that does with --builder, install emulation where one runs (docker run --privileged --rm tonistiigi/binfmt --install all), or cross-build (FROM --platform=$BUILDPLATFORM)",
			joinPlatforms(w.runs), p.list())
	}
	for _, m := range ranked {
		if m.limit == 0 || m.running < m.limit {
			m.running++
			return m, nil, nil
		}
	}
	return nil, p.changed, nil
}

// release gives the place back. lost is what happened to the builder, nil if it
// lives; release tells whether that is news.
func (p *pool) release(m *member, lost error) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.running--
	if news = lost != nil && m.lost == nil; news {
		m.lost = lost
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return news
}

func (p *pool) buildPlatform(ctx context.Context, target ocispec.Platform) (ocispec.Platform, error) {
	if err := p.connect(ctx); err != nil {
		return ocispec.Platform{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	living := p.living()
	if len(living) == 0 {
		return ocispec.Platform{}, errors.New("no builder is left:" + p.list())
	}
	// A cross-build runs nothing of the target's, so all will do for that.
	candidates := append(rank(living, wants{runs: []ocispec.Platform{target}}), living...)
	return candidates[0].platforms[0], nil
}

// living needs p.mu.
func (p *pool) living() []*member {
	return slices.DeleteFunc(slices.Clone(p.members), func(m *member) bool { return m.lost != nil })
}

func (p *pool) describe() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list()
}

// list says of each builder what happened to it, or what it runs. It needs p.mu.
func (p *pool) list() string {
	var b strings.Builder
	for _, m := range p.members {
		if m.lost != nil {
			fmt.Fprintf(&b, "\n  %s: %v", m.name, m.lost)
		} else {
			fmt.Fprintf(&b, "\n  %s: runs %s", m.name, joinPlatforms(m.platforms))
		}
	}
	return b.String()
}

func joinPlatforms(list []ocispec.Platform) string {
	var names []string
	for _, p := range list {
		if name := platforms.FormatAll(p); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func (p *pool) close() error {
	var errs []error
	for _, m := range p.members {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}
