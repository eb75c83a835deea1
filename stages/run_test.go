package stages

import (
	"context"
	"errors"
	"slices"
	"testing"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages/chart"
)

// release is the graph of a project with two images, each published with a label
// under an alias in another repository, and a chart that names both.
type release struct {
	repo, target, charts oci.Repository
	goals                []*engine.Node
	aliases, delivers    []*engine.Node
	labels               []*Label
}

func newRelease(t *testing.T, w *world, solver Solver) *release {
	r := &release{repo: w.repo(t, "app"), target: w.repo(t, "published"), charts: w.repo(t, "app")}
	barrier := &engine.Node{ID: "barrier", Stage: Barrier{}}
	publish := func(source *engine.Node, target oci.Repository, tag string) {
		deliver := &engine.Node{ID: "deliver " + tag, Kind: "deliver", Needs: []*engine.Node{source},
			Stage: &Deliver{Source: r.repo, Target: target, Alias: tag}}
		barrier.Needs = append(barrier.Needs, deliver)
		alias := &engine.Node{ID: "tag " + tag, Kind: "tag", Needs: []*engine.Node{deliver, barrier}, Stage: &Alias{Target: target, Tag: tag}}
		r.delivers, r.aliases = append(r.delivers, deliver), append(r.aliases, alias)
	}
	var builds []*engine.Node
	for _, name := range []string{"a", "b"} {
		build := &engine.Node{ID: "build " + name, Kind: "build", Stage: NewBuild(r.repo, key(name), recipe(name), solver, nil)}
		label := NewLabel(r.repo, key(name), map[string]string{"by": "test"})
		builds, r.labels = append(builds, build), append(r.labels, label)
		publish(&engine.Node{ID: "label " + name, Kind: "label", Needs: []*engine.Node{build}, Stage: label}, r.target, name)
	}
	pack := func(_ context.Context, images []Image) (*chart.Package, error) {
		return &chart.Package{Config: []byte("{}"), Archive: []byte(images[0].Ref() + images[1].Ref())}, nil
	}
	publish(&engine.Node{ID: "chart", Kind: "chart", Needs: builds, Stage: NewChart(r.charts, pack)}, r.charts, "chart")
	r.goals = r.aliases
	return r
}

// published is what the aliases name.
func (r *release) published(t *testing.T) []string {
	return []string{names(t, r.target, "a"), names(t, r.target, "b"), names(t, r.charts, "chart")}
}

func TestSecondRunWritesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		solver := &fakeSolver{session: w.session}
		first := newRelease(t, w, solver)
		_, err := engine.Run(t.Context(), first.goals, engine.Options{})
		check(t, err)
		if built := solver.take(); len(built) != 2 {
			t.Errorf("built %v, want a and b", built)
		}
		published := first.published(t)
		if slices.Contains(published, "") {
			t.Fatalf("published are %q", published)
		}
		// Another session is another machine: it remembers nothing.
		w = newWorld(t, w.place)
		done, before := w.unwritten(t), w.session.Requests().Total
		second := newRelease(t, w, &fakeSolver{session: w.session, hook: func(context.Context, Build) error { return errBroken }})
		report, err := engine.Run(t.Context(), second.goals, engine.Options{})
		check(t, err)
		done()
		if n := w.session.Requests().Total - before; n > 8 {
			t.Errorf("%d requests, want at most one for each image, labelled image, chart and alias", n)
		}
		for _, n := range report.Nodes {
			if n.Node.Kind != "" && n.Status != engine.StatusFound && n.Status != engine.StatusUnchanged {
				t.Errorf("%s: %v", n.Node.ID, n.Status)
			}
		}
		if got := second.published(t); !slices.Equal(got, published) {
			t.Errorf("published are %q, were %q", got, published)
		}
	})
}

// started tells, by the event, that a node's work has begun or ended.
type watch struct {
	id   string
	kind engine.EventKind
	seen chan struct{}
}

func (w *watch) Event(e engine.Event) {
	if e.Node != nil && e.Node.ID == w.id && e.Kind == w.kind {
		close(w.seen)
	}
}

// One build fails when everything of the other image is ready: its alias could
// move, and must not. What was made is found by the next run.
func TestNoAliasMovesWhenABuildFails(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		old := keyedImage(t, w.repo(t, "published"), "old")
		check(t, w.repo(t, "published").Tag(t.Context(), old.Desc, "a"))

		// The probe becomes ready together with the alias of a, so when it has
		// started, an alias without a barrier has started too.
		probe := &watch{id: "probe", kind: engine.EventStarted, seen: make(chan struct{})}
		solver := &fakeSolver{session: w.session, hook: func(ctx context.Context, b Build) error {
			if b.Name == "a" {
				return nil
			}
			select {
			case <-probe.seen:
			case <-ctx.Done():
			}
			return errBroken
		}}
		r := newRelease(t, w, solver)
		goals := append(slices.Clone(r.goals), &engine.Node{ID: "probe", Kind: "zz", Needs: []*engine.Node{r.delivers[0]}, Stage: Barrier{}})
		_, err := engine.Run(t.Context(), goals, engine.Options{Sinks: []engine.Sink{probe}})
		var failed *engine.RunError
		if !errors.As(err, &failed) || len(failed.Failures) != 1 || !errors.Is(failed.Failures[0].Err, errBroken) || failed.Failures[0].Node.ID != "build b" {
			t.Fatalf("got %v, want the one failure of build b", err)
		}
		if got, want := r.published(t), []string{old.Desc.Digest.String(), "", ""}; !slices.Equal(got, want) {
			t.Errorf("aliases name %q, want %q", got, want)
		}
		if names(t, r.repo, r.labels[0].Key.String()) == "" {
			t.Error("what succeeded was not kept under its key")
		}

		solver.take()
		solver.hook = nil
		mended := newRelease(t, w, solver)
		_, err = engine.Run(t.Context(), mended.goals, engine.Options{})
		check(t, err)
		if built := solver.take(); !slices.Equal(built, []string{"b"}) {
			t.Errorf("the mended run built %v, want b alone", built)
		}
		if got := mended.published(t); slices.Contains(got, "") || got[0] == old.Desc.Digest.String() {
			t.Errorf("published are %q", got)
		}
	})
}
