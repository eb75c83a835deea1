package archive

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
)

const legacyTag = "3f2a-1690000000000"

// dockerTarball is an image as werf writes it, with the same library, and the
// digests of its config and layers.
func dockerTarball(t testing.TB, texts ...string) (data []byte, digests []string) {
	t.Helper()
	img := empty.Image
	for _, text := range texts {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(layerTar(t, text, []byte(text)))), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	ref, err := name.ParseReference("example.org/x:" + legacyTag)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(ref, img, &b); err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	digests = []string{config.String()}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		d, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d.String())
	}
	return b.Bytes(), digests
}

// contents are the digests of the config and the layers of an image.
func contents(t *testing.T, r *Reader, desc ocispec.Descriptor) (digests []string) {
	t.Helper()
	successors, err := r.successors(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range successors {
		digests = append(digests, s.Digest.String())
	}
	return digests
}

func legacyArchive(t testing.TB) []byte {
	image, _ := dockerTarball(t, "one", "two")
	return gzipped(t, tarOf(t,
		entry{name: "images", change: link('5', "")},
		entry{name: "chart.tar.gz", data: "the chart"},
		entry{name: "images/" + legacyTag + ".tar.gz", data: string(gzipped(t, image, ""))},
	), legacyBundle)
}

func TestLegacyArchives(t *testing.T) {
	one, oneDigests := dockerTarball(t, "shared", "one")
	two, twoDigests := dockerTarball(t, "shared", "two")
	image := func(tag string, data []byte) entry {
		return entry{name: tag + ".tar.gz", data: string(gzipped(t, data, ""))}
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for kind, entries := range map[string][]entry{
		legacyBundle: {
			{name: "images", change: link('5', "")},
			{name: "chart.tar.gz", data: "the chart"},
			image("images/one", one), image("images/two", two), image("images/one", two), // the first counts
		},
		legacyStages: {image("stages/one", one), image("stages/two", two)},
	} {
		r := open(t, writeFile(t, "werf.tar.gz", gzipped(t, tarOf(t, entries...), kind)))
		if r.Legacy() != kind || kind == legacyBundle && string(r.Chart()) != "the chart" {
			t.Errorf("%s is %q with chart %q", kind, r.Legacy(), r.Chart())
		}
		images := r.Images()
		if len(images) != 2 || !slices.Equal(contents(t, r, images["one"]), oneDigests) || !slices.Equal(contents(t, r, images["two"]), twoDigests) {
			t.Errorf("%s has %v, want %s and %s", kind, images, oneDigests, twoDigests)
		}
		for tag := range images {
			if _, err := oras.Copy(t.Context(), r, tag, memory.New(), tag, oras.CopyOptions{}); err != nil {
				t.Errorf("%s: %v", tag, err)
			}
		}
		if len(r.blobs) != 7 { // 2 manifests, 2 configs, 3 layers
			t.Errorf("%d blobs", len(r.blobs))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// saved is a docker save archive made by hand.
func saved(t *testing.T, manifest, config string, layers ...entry) []byte {
	return gzipped(t, tarOf(t, append(layers,
		entry{name: "manifest.json", data: manifest}, entry{name: "config", data: config})...), "")
}

// Layers that are not compressed stay so: compressing them would give them
// digests that depend on the compressor.
func TestLegacyLayers(t *testing.T) {
	layer := layerTar(t, "x", []byte("x"))
	config, err := json.Marshal(ocispec.Image{RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{digest.FromBytes(layer)}}})
	if err != nil {
		t.Fatal(err)
	}
	const manifest = `[{"Config":"config","Layers":["abc/layer.tar"]}]`
	file := entry{name: "abc/layer.tar", data: string(layer)}
	path := writeFile(t, "werf.tar.gz", gzipped(t, tarOf(t, entry{name: "stages/a.tar.gz", data: string(saved(t, manifest, string(config), file))}), legacyStages))
	r := open(t, path)
	rc, err := r.Fetch(t.Context(), r.Images()["a"])
	if err != nil {
		t.Fatal(err)
	}
	var got ocispec.Manifest
	if err := json.NewDecoder(rc).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Layers) != 1 || got.Layers[0].Digest != digest.FromBytes(layer) || got.Layers[0].MediaType != ocispec.MediaTypeImageLayer {
		t.Errorf("layers %+v", got.Layers)
	}
	for name, test := range map[string]struct {
		image []byte
		want  string
	}{
		"other layer":  {saved(t, manifest, string(config), entry{name: "abc/layer.tar", data: "other"}), "does not have the digest"},
		"no layer":     {saved(t, manifest, string(config)), `no "abc/layer.tar"`},
		"no config":    {saved(t, `[{"Config":"none"}]`, "{}"), `no "none"`},
		"bad config":   {saved(t, manifest, "{", file), "config"},
		"bad manifest": {saved(t, "{", "{}"), "manifest.json"},
		"two images":   {saved(t, "[{},{}]", "{}"), "has 2 images"},
		"layer count":  {saved(t, manifest, "{}", file), "the config has 0 layers"},
		"twice":        {saved(t, manifest, string(config), file, file), "twice"},
		"link":         {saved(t, manifest, string(config), entry{name: "abc/layer.tar", change: link('2', "../x")}), "is a link"},
		"no gzip":      {[]byte("text"), "EOF"},
		"no manifest":  {gzipped(t, tarOf(t), ""), "manifest.json"},
	} {
		path := writeFile(t, "werf.tar.gz", gzipped(t, tarOf(t, entry{name: "stages/a.tar.gz", data: string(test.image)}), legacyStages))
		if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "stages/a.tar.gz") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What comes out of an old archive goes into a new one, and skopeo reads it.
func TestLegacyIntoArchive(t *testing.T) {
	r := open(t, writeFile(t, "werf.tar.gz", legacyArchive(t)))
	s := &sample{blobs: map[digest.Digest][]byte{}, index: r.Index()}
	for d, b := range r.blobs {
		data, err := readSmall(b, maxManifestSize)
		if err != nil {
			t.Fatal(err)
		}
		s.blobs[d] = data
		s.plan = append(s.plan, ocispec.Descriptor{Digest: d, Size: b.size})
	}
	slices.SortFunc(s.plan, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	dir := t.TempDir()
	s.write(t, filepath.Join(dir, "a.tar"))
	command(t, dir, "skopeo", anyPolicy, "copy", "--preserve-digests", "oci-archive:a.tar:"+legacyTag, "dir:out")
	if got := digest.FromBytes(read(t, filepath.Join(dir, "out", "manifest.json"))); got != r.Images()[legacyTag].Digest {
		t.Errorf("skopeo has copied %s", got)
	}
}
