package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"

	"slipway/oci"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// How werf's archives are told: the comment in the gzip header. Around a tar of
// chart.tar.gz and images/TAG.tar.gz, or of stages/TAG.tar.gz, each of which is
// a gzipped archive as docker save writes it
// (https://github.com/werf/werf/tree/main/pkg/deploy/bundles).
const (
	legacyBundle = "bundle-archive"
	legacyStages = "stage-archive"

	dockerManifest = "manifest.json"
)

var legacyImage = regexp.MustCompile(`^(?:images|stages)/(\w[\w.-]*)\.tar\.gz$`)

// convert takes over an archive of werf. docker save keeps no manifest, so each
// image gets a new one, OCI's, around the config and the layers as they are.
// werf keeps layers as its registry had them, so their digests are those that
// they had there, and a registry that has them is not sent them again. What is
// not compressed stays so: its digest would depend on the compressor. An image
// that is there twice, as happens where two names have one tag, counts once.
func (r *Reader) convert(ctx context.Context, t *tar.Reader) error {
	r.index = ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	seen := map[string]bool{}
	err := eachEntry(ctx, t, func(hdr *tar.Header, data io.Reader) error {
		name := path.Clean(hdr.Name)
		tag := legacyImage.FindStringSubmatch(name)
		if tag != nil && !oci.IsTag(tag[1]) {
			tag = nil
		}
		if seen[name] || tag == nil && name != "chart.tar.gz" {
			return nil
		}
		seen[name] = true
		if tag == nil {
			return r.takeChart(hdr.Size, data)
		}
		desc, err := r.convertImage(ctx, data)
		if err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, err)
		}
		desc.Annotations = map[string]string{ocispec.AnnotationRefName: tag[1]}
		r.index.Manifests = append(r.index.Manifests, desc)
		return nil
	})
	if err == nil && r.legacy == legacyBundle && r.chart == nil {
		err = errors.New("it has no chart.tar.gz")
	}
	if err != nil {
		return fmt.Errorf("werf's %s: %w", r.legacy, err)
	}
	return nil
}

func (r *Reader) takeChart(size int64, data io.Reader) (err error) {
	if size > maxChartSize {
		return fmt.Errorf("chart.tar.gz has %d bytes, more than the %d allowed", size, maxChartSize)
	}
	r.chart, err = io.ReadAll(data)
	return err
}

// convertImage takes over the one image of a gzipped docker save archive.
func (r *Reader) convertImage(ctx context.Context, data io.Reader) (ocispec.Descriptor, error) {
	compressed := &counter{Reader: data}
	z, err := gzip.NewReader(bufio.NewReader(compressed))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	found := map[string]spooled{}
	t := tar.NewReader(&bombGuard{from: z, compressed: compressed})
	err = eachEntry(ctx, t, func(hdr *tar.Header, data io.Reader) error {
		name := path.Clean(hdr.Name)
		if _, twice := found[name]; twice {
			return fmt.Errorf("entry %q is there twice", hdr.Name)
		}
		found[name], err = r.spool.add(ctx, data)
		return err
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return r.dockerImage(found)
}

func (r *Reader) dockerImage(found map[string]spooled) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	file := func(name string) (spooled, error) {
		b, ok := found[path.Clean(name)]
		if !ok {
			return b, fmt.Errorf("there is no %q", name)
		}
		return b, nil
	}
	raw, err := file(dockerManifest)
	if err != nil {
		return none, err
	}
	var images []struct {
		Config string
		Layers []string
	}
	if err := readJSON(raw.blob, maxManifestSize, &images); err != nil {
		return none, fmt.Errorf("%s: %w", dockerManifest, err)
	}
	if len(images) != 1 {
		return none, fmt.Errorf("%s has %d images, it should have one", dockerManifest, len(images))
	}
	config, err := file(images[0].Config)
	if err != nil {
		return none, err
	}
	var shape struct {
		RootFS struct {
			DiffIDs []digest.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := readJSON(config.blob, maxManifestSize, &shape); err != nil {
		return none, fmt.Errorf("%s: %w", images[0].Config, err)
	}
	if want, got := len(shape.RootFS.DiffIDs), len(images[0].Layers); want != got {
		return none, fmt.Errorf("the config has %d layers, %s has %d", want, dockerManifest, got)
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    r.take(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{},
	}
	for i, name := range images[0].Layers {
		layer, err := file(name)
		if err != nil {
			return none, err
		}
		mediaType, err := layerMediaType(layer)
		if err != nil {
			return none, fmt.Errorf("%s: %w", name, err)
		}
		if mediaType == ocispec.MediaTypeImageLayer && layer.digest != shape.RootFS.DiffIDs[i] {
			return none, fmt.Errorf("layer %s does not have the digest that the config says", name)
		}
		manifest.Layers = append(manifest.Layers, r.take(mediaType, layer))
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return none, err
	}
	return r.take(ocispec.MediaTypeImageManifest, spooled{inMemory(data), digest.FromBytes(data)}), nil
}

// take makes content a blob of the archive.
func (r *Reader) take(mediaType string, b spooled) ocispec.Descriptor {
	r.blobs[b.digest] = b.blob
	return ocispec.Descriptor{MediaType: mediaType, Digest: b.digest, Size: b.size}
}

// layerMediaType is the type of a layer by its content: names say nothing, all
// end in .tar.gz.
func layerMediaType(layer spooled) (string, error) {
	head, err := readSmall(blob{min(layer.size, headSize), layer.open}, headSize)
	if err != nil {
		return "", err
	}
	switch c, _ := codecByContent(head); c {
	case gzipCodec:
		return ocispec.MediaTypeImageLayerGzip, nil
	case zstdCodec:
		return ocispec.MediaTypeImageLayerZstd, nil
	}
	return ocispec.MediaTypeImageLayer, nil
}
