package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// fake is a builder that says what the test wants.
type fake struct {
	platforms string // separated by spaces
	refuses   error
	does      func(ctx context.Context, b stages.Build) error

	mu                       sync.Mutex
	connected, running, most int
	built                    []string
	closed                   bool
}

func (f *fake) connect(context.Context) ([]ocispec.Platform, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected++
	var list []ocispec.Platform
	for name := range strings.FieldsSeq(f.platforms) {
		list = append(list, platforms.MustParse(name))
	}
	return list, f.refuses
}

func (f *fake) solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	f.built = append(f.built, b.Name)
	f.mu.Unlock()
	var err error
	if f.does != nil {
		err = f.does(ctx, b)
	}
	f.mu.Lock()
	f.running--
	f.mu.Unlock()
	return ocispec.Descriptor{}, err
}

func (f *fake) close() error { f.closed = true; return nil }

func poolOf(limit int, fakes ...*fake) *pool {
	p := newPool()
	for i, f := range fakes {
		if f.platforms == "" {
			f.platforms = "linux/amd64 linux/386"
		}
		p.add(fmt.Sprint("tcp://builder-", i, ":1234"), limit, f)
	}
	return p
}

// build is an image of a Dockerfile over a base, with a RUN for each platform.
func build(t *testing.T, dockerfile, base string, platforms ...string) stages.Build {
	t.Helper()
	repo, err := oci.ParseReference("example.org/app")
	if err != nil {
		t.Fatal(err)
	}
	ops := []*pb.Op{{Op: &pb.Op_Source{Source: &pb.SourceOp{Identifier: "docker-image://" + base}}}}
	for _, name := range platforms {
		os, arch, _ := strings.Cut(name, "/")
		ops = append(ops, &pb.Op{Op: &pb.Op_Exec{Exec: &pb.ExecOp{}}, Platform: &pb.Platform{OS: os, Architecture: arch}})
	}
	def := &llb.Definition{Source: &pb.Source{Infos: []*pb.SourceInfo{{Filename: dockerfile, Data: []byte("FROM " + base)}}}}
	for _, op := range ops {
		dt, err := op.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		def.Def = append(def.Def, dt)
	}
	return stages.Build{Name: dockerfile, Repo: repo, Definition: def}
}

func lost(context.Context, stages.Build) error { return &lostError{errors.New("connection reset")} }

// whereTo returns which of the builders does a build.
func whereTo(t *testing.T, p *pool, b stages.Build) int {
	t.Helper()
	w, err := wantsOf(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.take(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	p.release(m, nil)
	return slices.Index(p.members, m)
}

// What is built again goes where its layers are, and a builder that comes moves
// nothing between others.
func TestPoolKeepsImagesInTheirPlaces(t *testing.T) {
	three, four := poolOf(0, &fake{}, &fake{}, &fake{}), poolOf(0, &fake{}, &fake{}, &fake{}, &fake{})
	for _, p := range []*pool{three, four} {
		if err := p.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const images = 200
	count := make([]int, 3)
	moved := 0
	for i := range images {
		name := fmt.Sprint("image-", i, "/Dockerfile")
		before := whereTo(t, three, build(t, name, "docker.io/library/node:22@sha256:aa"))
		count[before]++
		changed := build(t, name, "docker.io/library/node:22@sha256:bb", "linux/amd64")
		changed.Definition.Source.Infos[0].Data = []byte("another text")
		if again := whereTo(t, three, changed); again != before {
			t.Errorf("%s was built by %d and then by %d", name, before, again)
		}
		switch after := whereTo(t, four, changed); after {
		case before:
		case 3:
			moved++
		default:
			t.Errorf("%s moved from %d to %d because of a third", name, before, after)
		}
	}
	for i, n := range append(count, moved) {
		if n < images/8 || n > images/2 {
			t.Errorf("builder %d has %d of %d images", i, n, images)
		}
	}
	// Images of the project are named by their keys, which change with all below them.
	one := build(t, "upper.Dockerfile", "example.org/app:1111@sha256:aa")
	other := build(t, "upper.Dockerfile", "example.org/app:2222@sha256:bb")
	a, _ := wantsOf(one)
	b, _ := wantsOf(other)
	if a.madeOf != b.madeOf {
		t.Errorf("a changed image below moves the one above: %q, %q", a.madeOf, b.madeOf)
	}
}

func TestPoolChoosesByPlatform(t *testing.T) {
	amd := &fake{platforms: "linux/amd64 linux/amd64/v2 linux/386 linux/arm64"} // emulates arm64
	arm := &fake{platforms: "linux/arm64"}
	p := poolOf(0, amd, arm)
	if err := p.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // whatever the hash says
		name := fmt.Sprint(i)
		for _, c := range []struct {
			runs []string
			want int
		}{
			{[]string{"linux/amd64"}, 0},
			{[]string{"linux/386"}, 0},
			{[]string{"linux/arm64"}, 1},
			{[]string{"linux/amd64", "linux/arm64"}, 0}, // nobody natively
		} {
			if got := whereTo(t, p, build(t, name, "a", c.runs...)); got != c.want {
				t.Errorf("RUNs for %v go to %d, want %d", c.runs, got, c.want)
			}
		}
	}
	for target, want := range map[string]string{"linux/arm64": "linux/arm64", "linux/amd64": "linux/amd64", "linux/s390x": "linux/amd64"} {
		got, err := p.buildPlatform(t.Context(), platforms.MustParse(target))
		if err != nil || platforms.FormatAll(got) != want {
			t.Errorf("for %s the build platform is %s, %v; want %s", target, platforms.FormatAll(got), err, want)
		}
	}
	_, err := p.solve(t.Context(), build(t, "far.Dockerfile", "a", "linux/s390x"))
	if err == nil {
		t.Fatal("nobody runs s390x")
	}
	for _, want := range []string{"building far.Dockerfile: no builder runs linux/s390x", "tcp://builder-1:1234: runs linux/arm64", "--builder", "--platform=$BUILDPLATFORM"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	// Without a RUN any builder will do.
	if _, err := p.solve(t.Context(), build(t, "far.Dockerfile", "a")); err != nil {
		t.Error(err)
	}
}

// A builder that dies is left out, its builds move on, and that is told once; the
// failure of a build is just that.
func TestPoolMovesBuildsOn(t *testing.T) {
	first := &fake{}
	second := &fake{}
	p := poolOf(0, first, second)
	if err := p.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := ""
	for i := 0; name == ""; i++ {
		if whereTo(t, p, build(t, fmt.Sprint(i), "a")) == 0 {
			name = fmt.Sprint(i)
		}
	}
	failure := errors.New("exit code: 1")
	first.does = func(context.Context, stages.Build) error { return failure }
	if _, err := p.solve(t.Context(), build(t, name, "a")); err != failure || len(second.built) > 0 {
		t.Errorf("a failed build: %v, and another builder did %v", err, second.built)
	}
	both := make(chan struct{})
	var group sync.WaitGroup
	group.Add(2)
	go func() { group.Wait(); close(both) }()
	first.does = func(ctx context.Context, b stages.Build) error {
		group.Done()
		<-both
		return lost(ctx, b)
	}
	notes := during(t, func(ctx context.Context) {
		var builds sync.WaitGroup
		for range 2 {
			builds.Go(func() {
				if _, err := p.solve(ctx, build(t, name, "a")); err != nil {
					t.Error(err)
				}
			})
		}
		builds.Wait()
	})
	want := []string{"tcp://builder-0:1234 is left out from here on: connection reset"}
	if !slices.Equal(notes, want) || len(second.built) != 2 {
		t.Errorf("told %q, and the other builder did %v", notes, second.built)
	}
	second.does = lost
	_, err := p.solve(t.Context(), build(t, "late", "a"))
	all := "building late: no builder is left:\n  tcp://builder-0:1234: lost while it built " + name + ": connection reset\n  tcp://builder-1:1234: lost while it built late: connection reset"
	if err == nil || err.Error() != all {
		t.Errorf("got %v\nwant %s", err, all)
	}
}

// A build that is the end of each builder that takes it is stopped.
func TestPoolIsNotLostToOneBuild(t *testing.T) {
	fakes := make([]*fake, 6)
	for i := range fakes {
		fakes[i] = &fake{does: lost}
	}
	p := poolOf(0, fakes...)
	_, err := p.solve(t.Context(), build(t, "poison", "a"))
	left := 0
	for _, f := range fakes {
		if len(f.built) == 0 {
			left++
		}
	}
	if err == nil || !strings.Contains(err.Error(), "building poison: 3 builders were lost") || left != 3 {
		t.Errorf("%d builders are left: %v", left, err)
	}
}

func TestPoolConnects(t *testing.T) {
	up, down := &fake{}, &fake{refuses: errors.New("connection refused")}
	empty := &fake{platforms: " "}
	p := poolOf(0, down, up, empty)
	if up.connected+down.connected > 0 {
		t.Error("connected before there is anything to build")
	}
	notes := during(t, func(ctx context.Context) {
		for i := range 8 {
			if _, err := p.solve(ctx, build(t, fmt.Sprint(i), "a")); err != nil {
				t.Error(err)
			}
		}
	})
	if want := []string{"tcp://builder-0:1234 is left out: connection refused", "tcp://builder-2:1234 is left out: it has no worker"}; !slices.Equal(notes, want) {
		t.Errorf("told %q, want %q", notes, want)
	}
	if up.connected != 1 || down.connected != 1 || len(up.built) != 8 {
		t.Errorf("connected %d and %d times, built %v", up.connected, down.connected, up.built)
	}
	if err := p.close(); err != nil || !up.closed || !down.closed {
		t.Errorf("closed %v %v, %v", up.closed, down.closed, err)
	}

	none := poolOf(0, down)
	_, err := none.solve(t.Context(), build(t, "a", "a"))
	if want := "building a: no builder is left:\n  tcp://builder-0:1234: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := none.buildPlatform(t.Context(), platforms.DefaultSpec()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the platform of no builder: %v", err)
	}

	// A run that is stopped says nothing of builders.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	stopped := poolOf(0, down)
	if _, err := stopped.solve(ctx, build(t, "a", "a")); err == nil || err.Error() != "stopped" || stopped.connected {
		t.Errorf("a stopped run: %v, connected %v", err, stopped.connected)
	}
}

// No builder gets more than its limit; who finds his full takes the next, and who
// finds all full waits.
func TestPoolLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(context.Context, stages.Build) error { time.Sleep(time.Second); return nil }
		fakes := []*fake{{does: work}, {does: work}}
		p := poolOf(2, fakes...)
		start := time.Now()
		var group sync.WaitGroup
		for range 8 { // all of one kind, so all want the same builder
			group.Go(func() {
				if _, err := p.solve(t.Context(), build(t, "Dockerfile", "a")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for i, f := range fakes {
			if f.most != 2 || len(f.built) != 4 {
				t.Errorf("builder %d did %d builds, %d at once", i, len(f.built), f.most)
			}
		}
		if took := time.Since(start); took != 2*time.Second { // of a clock that the test makes
			t.Errorf("8 builds at 4 places took %s", took)
		}

		// Waiting ends with the run.
		ctx, cancel := context.WithCancelCause(t.Context())
		one := poolOf(1, &fake{does: func(ctx context.Context, _ stages.Build) error { <-ctx.Done(); return context.Cause(ctx) }})
		errs := make(chan error)
		for range 2 {
			go func() {
				_, err := one.solve(ctx, build(t, "Dockerfile", "a"))
				errs <- err
			}()
		}
		synctest.Wait()
		cancel(errors.New("stopped"))
		for range 2 {
			if err := <-errs; err == nil || !strings.HasSuffix(err.Error(), "stopped") {
				t.Errorf("stopped with %v", err)
			}
		}
	})
}

// during returns the notes that f tells.
func during(t *testing.T, f func(ctx context.Context)) []string {
	t.Helper()
	var n notes
	node := &engine.Node{ID: "build", Stage: stage(f)}
	if _, err := engine.Run(t.Context(), []*engine.Node{node}, engine.Options{Sinks: []engine.Sink{&n}}); err != nil {
		t.Fatal(err)
	}
	return n
}

type stage func(ctx context.Context)

func (stage) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }
func (s stage) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	s(ctx)
	return nil, nil
}

type notes []string

func (n *notes) Event(e engine.Event) {
	if e.Kind == engine.EventNote {
		*n = append(*n, e.Text)
	}
}

// A layer cache is stored where its build was run, however busy that is: any other
// builder would have to run it again. If that is lost, there is no cache.
func TestPoolStoresCachesWhereTheyAre(t *testing.T) {
	fakes := []*fake{{}, {}, {}}
	p := poolOf(1, fakes...)
	b := build(t, "Dockerfile", "a")
	if _, err := p.solve(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(fakes, func(f *fake) bool { return len(f.built) > 0 })
	whereTo(t, p, b) // takes its only place
	b.CacheTo = &stages.CacheTo{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.solve(ctx, b); err != nil || len(fakes[at].built) != 2 {
		t.Errorf("%v: %d was given %v", err, at, fakes[at].built)
	}
	fakes[at].does = lost
	if _, err := p.solve(ctx, b); err == nil {
		t.Error("a lost builder has stored a cache")
	}
	other := build(t, "never built", "a")
	other.CacheTo = b.CacheTo
	if _, err := p.solve(ctx, other); err == nil {
		t.Error("the cache of nothing was stored")
	}
	for i, f := range fakes {
		if i != at && len(f.built) > 0 {
			t.Errorf("builder %d was given %v", i, f.built)
		}
	}
}
