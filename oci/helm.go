package oci

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of a Helm chart in a registry (https://helm.sh/docs/topics/registries).
const (
	MediaTypeHelmConfig = "application/vnd.cncf.helm.config.v1+json"
	MediaTypeHelmChart  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// ChartManifest is the manifest of a chart, with the two blobs it names:
// configJSON, the chart's metadata, and archive, the gzipped tar. Its bytes are
// a function of the arguments alone. Helm's own org.opencontainers.image.created
// is not added: it would give the same chart another digest every time.
func ChartManifest(configJSON, archive []byte, annotations map[string]string) (manifest []byte, blobs []Blob) {
	blobs = []Blob{
		NewBlob(MediaTypeHelmConfig, configJSON),
		NewBlob(MediaTypeHelmChart, archive),
	}
	manifest, _ = json.Marshal(ocispec.Manifest{ // strings and numbers always marshal
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      blobs[0].Descriptor,
		Layers:      []ocispec.Descriptor{blobs[1].Descriptor},
		Annotations: annotations,
	})
	return manifest, blobs
}

// NewBlob describes data.
func NewBlob(mediaType string, data []byte) Blob {
	return Blob{
		Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))},
		Data:       data,
	}
}
