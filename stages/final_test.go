package stages

import (
	"testing"

	"slipway/engine"
	"slipway/oci"
)

func TestFinal(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		source, target := w.repo(t, "app"), w.repo(t, "final/app")
		image := keyedImage(t, source, "a")
		stage := NewFinal(source, target, key("a"), nil)
		if _, found, err := stage.Find(t.Context()); found || err != nil {
			t.Errorf("found %v (%v) before it was there", found, err)
		}
		made, err := stage.Run(t.Context(), []engine.Result{image})
		check(t, err)
		if got := made.(Image); got.Repo != target.Reference() || got.Tag != image.Tag || got.Desc.Digest != image.Desc.Digest {
			t.Errorf("made %v of %v", got, image)
		}
		if _, got, _, err := oci.ReadImage(t.Context(), target, image.Desc); err != nil || string(got) != config("a") {
			t.Errorf("the copy has the config %s (%v)", got, err)
		}
		done := w.unwritten(t)
		if _, found, err := stage.Find(t.Context()); !found || err != nil {
			t.Errorf("found %v (%v)", found, err)
		}
		done()
	})
}
