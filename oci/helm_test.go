package oci

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	helm "helm.sh/helm/v3/pkg/registry"
)

func TestChartManifest(t *testing.T) {
	if MediaTypeHelmConfig != helm.ConfigMediaType || MediaTypeHelmChart != helm.ChartLayerMediaType {
		t.Error("Helm's media types have changed")
	}
	annotations := map[string]string{"b": "2", "a": "1", "c": "3"}
	manifest, blobs := ChartManifest([]byte(`{"name":"x"}`), []byte("archive"), annotations)
	again, _ := ChartManifest([]byte(`{"name":"x"}`), []byte("archive"), annotations)
	if string(manifest) != string(again) || strings.Contains(string(manifest), "created") {
		t.Errorf("the manifest is not a function of its content: %s", manifest)
	}
	const want = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"sha256:`
	if !strings.HasPrefix(string(manifest), want) || !strings.HasSuffix(string(manifest), `"annotations":{"a":"1","b":"2","c":"3"}}`) {
		t.Errorf("manifest is %s", manifest)
	}

	bothKinds(t, func(t *testing.T, repo Repository) {
		desc, err := Pack(t.Context(), repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
		check(t, err)
		got, config, _, err := ReadImage(t.Context(), repo, desc)
		check(t, err)
		if string(config) != `{"name":"x"}` || got.Layers[0].MediaType != MediaTypeHelmChart {
			t.Errorf("read back %+v, %s", got, config)
		}
	})
}
