package stages

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages/chart"
)

func TestChart(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo := w.repo(t, "charts/app")
		images := []engine.Result{keyedImage(t, repo, "z"), keyedImage(t, repo, "a")}
		var given []string
		pack := func(_ context.Context, images []Image) (*chart.Package, error) {
			for _, image := range images {
				given = append(given, image.Ref())
			}
			return &chart.Package{
				Config: []byte(`{"name":"app"}`), Archive: []byte("archive"),
				Annotations: map[string]string{"org.opencontainers.image.title": "app"},
			}, nil
		}
		stage := NewChart(repo, pack)
		made, err := stage.Run(t.Context(), images)
		check(t, err)
		image := made.(Image)
		if want := []string{images[0].(Image).Ref(), images[1].(Image).Ref()}; !reflect.DeepEqual(given, want) {
			t.Errorf("the chart was given %q, want %q, the order of its needs", given, want)
		}
		manifest, config, _, err := oci.ReadImage(t.Context(), repo, image.Desc)
		check(t, err)
		archive := oci.NewBlob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", []byte("archive"))
		if manifest.Config.MediaType != "application/vnd.cncf.helm.config.v1+json" || string(config) != `{"name":"app"}` {
			t.Errorf("config is %s: %s", manifest.Config.MediaType, config)
		}
		if len(manifest.Layers) != 1 || !reflect.DeepEqual(manifest.Layers[0], archive.Descriptor) {
			t.Errorf("layers are %v, want %v", manifest.Layers, archive.Descriptor)
		}
		if manifest.Annotations["org.opencontainers.image.title"] != "app" || len(manifest.Annotations) != 1 {
			t.Errorf("annotations are %v", manifest.Annotations)
		}
		kept, ok, err := oci.Lookup(t.Context(), repo, image.Desc.Digest.Encoded())
		if err != nil || !ok || kept.Digest != image.Desc.Digest || image.Tag != kept.Digest.Encoded() {
			t.Errorf("kept under its digest: %v, %v, %v; tag %s", kept, ok, err, image.Tag)
		}
		done := w.unwritten(t)
		_, err = stage.Run(t.Context(), images)
		check(t, err)
		done()
	})
}

func TestChartFails(t *testing.T) {
	w := newWorld(t, places["layout"](t))
	repo := w.repo(t, "app")
	stage := NewChart(repo, func(context.Context, []Image) (*chart.Package, error) { return nil, errBroken })
	if _, err := stage.Run(t.Context(), nil); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if got := names(t, repo, key("chart").String()); got != "" {
		t.Errorf("the key tag names %s", got)
	}
}
