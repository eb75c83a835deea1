package stages

import (
	"errors"
	"strings"
	"testing"

	"slipway/engine"
	"slipway/oci"
)

func TestDeliverAndAlias(t *testing.T) {
	tests := map[string]struct {
		target           string // "app" is where the image is
		before           string // what the alias names: an image's name, or nothing
		delivered, moved bool
	}{
		"same repository, new alias":    {"app", "", false, true},
		"same repository, right alias":  {"app", "app", false, false},
		"same repository, other alias":  {"app", "old", false, true},
		"other repository, new alias":   {"published/app", "", true, true},
		"other repository, right alias": {"published/app", "app", false, false},
		"other repository, other alias": {"published/app", "old", true, true},
	}
	everywhere(t, func(t *testing.T, w *world) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				dir := strings.NewReplacer(" ", "-", ",", "").Replace(name) + "/"
				source, target := w.repo(t, dir+"app"), w.repo(t, dir+test.target)
				image := keyedImage(t, source, "app")
				if test.before != "" {
					old := keyedImage(t, target, test.before)
					check(t, target.Tag(t.Context(), old.Desc, "v1"))
				}
				done := w.unwritten(t)
				delivery, err := (&Deliver{Source: source, Target: target, Alias: "v1"}).Run(t.Context(), []engine.Result{image})
				check(t, err)
				if got := !delivery.(engine.Unchanged).Unchanged(); got != test.delivered {
					t.Errorf("delivered: %v, want %v", got, test.delivered)
				}
				if !test.delivered {
					done()
				}
				if got := names(t, target, "v1"); test.before == "" && got != "" {
					t.Errorf("before its turn the alias names %s", got)
				}
				if _, _, _, err := oci.ReadImage(t.Context(), target, image.Desc); err != nil {
					t.Errorf("the target lacks the image: %v", err)
				}
				done = w.unwritten(t)
				published, err := (&Alias{Target: target, Tag: "v1"}).Run(t.Context(), []engine.Result{delivery, Published{}})
				check(t, err)
				if got := !published.(engine.Unchanged).Unchanged(); got != test.moved {
					t.Errorf("moved: %v, want %v", got, test.moved)
				}
				if !test.moved {
					done()
				}
				if got := names(t, target, "v1"); got != image.Desc.Digest.String() {
					t.Errorf("the alias names %q, want %s", got, image.Desc.Digest)
				}
			})
		}
	})
}

// A registry is asked once about an alias that is right.
func TestRightAliasIsOneRequest(t *testing.T) {
	w := newWorld(t, places["registry"](t))
	repo := w.repo(t, "app")
	image := keyedImage(t, repo, "app")
	check(t, repo.Tag(t.Context(), image.Desc, "v1"))
	before := w.session.Requests().Total
	delivery, err := (&Deliver{Source: repo, Target: repo, Alias: "v1"}).Run(t.Context(), []engine.Result{image})
	check(t, err)
	_, err = (&Alias{Target: repo, Tag: "v1"}).Run(t.Context(), []engine.Result{delivery})
	check(t, err)
	if n := w.session.Requests().Total - before; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// What a stage is given wrongly is an error, not a panic.
func TestWrongNeeds(t *testing.T) {
	w := newWorld(t, places["layout"](t))
	repo := w.repo(t, "app")
	for name, stage := range map[string]engine.Stage{
		"label":   NewLabel(repo, key("app"), nil),
		"deliver": &Deliver{Source: repo, Target: repo, Alias: "v1"},
		"alias":   &Alias{Target: repo, Tag: "v1"},
		"chart":   NewChart(repo, nil),
	} {
		for _, needs := range [][]engine.Result{nil, {Published{}}} {
			if name == "chart" && needs == nil { // a chart may have no images
				continue
			}
			if result, err := stage.Run(t.Context(), needs); err == nil || !strings.Contains(err.Error(), "needs a stages.") {
				t.Errorf("%s given %v: %v, %v", name, needs, result, err)
			}
		}
	}
}

// A copy that fails leaves no alias to be moved.
func TestDeliverFails(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		source, target := w.repo(t, "app"), w.repo(t, "published")
		missing := Image{Desc: oci.NewBlob("application/vnd.oci.image.manifest.v1+json", []byte("{}")).Descriptor}
		_, err := (&Deliver{Source: source, Target: target, Alias: "v1"}).Run(t.Context(), []engine.Result{missing})
		var e *oci.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "published") {
			t.Errorf("got %v", err)
		}
	})
}
