package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"

	"slipway/cmd/internal/testenv"
	"slipway/oci"
	"slipway/stages/chart"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// noise is bytes that do not compress, the same each time.
func noise(size int64) io.Reader {
	var seed [32]byte
	return io.LimitReader(rand.NewChaCha8(seed), size)
}

// largeBundle puts a bundle with one image of one layer into a registry.
func largeBundle(t *testing.T, host string, size int64) (ref string) {
	t.Helper()
	repo := repository(t, host+"/large")
	push := func(desc ocispec.Descriptor, data io.Reader) {
		t.Helper()
		if err := repo.Push(t.Context(), desc, data); err != nil {
			t.Fatal(err)
		}
	}
	hash := digest.SHA256.Digester()
	if _, err := io.Copy(hash.Hash(), noise(size)); err != nil {
		t.Fatal(err)
	}
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: hash.Digest(), Size: size}
	push(layer, noise(size))
	config := oci.NewBlob(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["`+layer.Digest.String()+`"]}}`))
	push(config.Descriptor, bytes.NewReader(config.Data))
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config.Descriptor, Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		t.Fatal(err)
	}
	image := oci.NewBlob(ocispec.MediaTypeImageManifest, manifest).Descriptor
	push(image, bytes.NewReader(manifest))
	if err := repo.Tag(t.Context(), image, "key"); err != nil {
		t.Fatal(err)
	}

	files := fstest.MapFS{"c/templates/a.yaml": {Data: []byte(podOf("{{ .Values.werf.image.large }}", "a"))}}
	s, err := chart.Load(t.Context(), files, "c", chart.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := s.Package(chart.Options{Project: "large", Version: "1.0.0", Repo: host + "/large", Images: []chart.Image{
		{Name: "large", Repo: host + "/large", Tag: "key", Digest: image.Digest.String()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	raw, blobs := oci.ChartManifest(pkg.Config, pkg.Archive, pkg.Annotations)
	desc, err := oci.Pack(t.Context(), repo, ocispec.MediaTypeImageManifest, raw, blobs...)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	return host + "/large:1.0.0"
}

// What a copy needs of memory does not depend on what it copies. SLIPWAY_LARGE is
// the size of the layer in MiB: "go tool task soak" makes it 2048.
func TestCopyNeedsLittleMemory(t *testing.T) {
	size := int64(192 << 20)
	if text := os.Getenv("SLIPWAY_LARGE"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		size = n << 20
	}
	from, to := testenv.Registry(t), testenv.Registry(t)
	ref, dir := largeBundle(t, from.Host, size), t.TempDir()
	cli := testenv.Slipway(t)
	for _, step := range []struct{ name, from, to string }{
		{"registry to registry", ref, to.Host + "/large:1.0.0"},
		{"registry to archive", ref, "archive:" + filepath.Join(dir, "large.tar.zst")},
		{"archive to registry", "archive:" + filepath.Join(dir, "large.tar.zst"), to.Host + "/again:1.0.0"},
	} {
		r := cli.Run(dir, nil, "bundle", "copy", "--from", step.from, "--to", step.to).Must(t)
		t.Logf("%s: %d MiB of memory for a layer of %d MiB", step.name, r.MaxRSS>>20, size>>20)
		if limit := int64(100_000_000); r.MaxRSS == 0 || r.MaxRSS > limit {
			t.Errorf("%s: %d bytes of memory, more than %d", step.name, r.MaxRSS, limit)
		}
	}
	cli.Run(dir, nil, "bundle", "verify", to.Host+"/again:1.0.0").Must(t)
}
