package buildkit

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"slipway/oci"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // containerd's log
	os.Exit(m.Run())
}

func TestExportEntry(t *testing.T) {
	reproducible := map[string]string{"oci-mediatypes": "true", "rewrite-timestamp": "true", "source-date-epoch": "315619200"}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(reproducible)
		maps.Copy(all, more)
		return all
	}
	dir := t.TempDir()
	tests := map[string]struct {
		ref   string
		kind  string
		attrs map[string]string
		store bool
	}{
		"registry": {"example.org:5000/app", "image", with(map[string]string{"name": "example.org:5000/app", "push": "true", "push-by-digest": "true"}), false},
		// By digest only, whatever tag the reference carries.
		"registry and tag": {"example.org/app:v1", "image", with(map[string]string{"name": "example.org/app", "push": "true", "push-by-digest": "true"}), false},
		"layout":           {"oci:" + dir, "oci", with(map[string]string{"tar": "false"}), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ref, err := oci.ParseReference(test.ref)
			if err != nil {
				t.Fatal(err)
			}
			entry, err := exportEntry(ref)
			if err != nil {
				t.Fatal(err)
			}
			if entry.Type != test.kind || !maps.Equal(entry.Attrs, test.attrs) || (entry.OutputStore != nil) != test.store {
				t.Errorf("got %s %v, a store: %v", entry.Type, entry.Attrs, entry.OutputStore != nil)
			}
		})
	}
}

// Two runs write one blob into one layout, each half way through when the other
// comes: with one name for both ingests they would write into one file.
func TestTwoStoresOneBlob(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(data), Size: int64(len(data))}
	var stores [2]content.Store
	var writers [2]content.Writer
	for i := range stores {
		var err error
		if stores[i], err = newLayoutStore(dir); err != nil {
			t.Fatal(err)
		}
		if writers[i], err = stores[i].Writer(ctx, content.WithRef("layer"), content.WithDescriptor(desc)); err != nil {
			t.Fatalf("writer %d: %v", i, err)
		}
		if _, err := writers[i].Write(data[:len(data)/2]); err != nil {
			t.Fatalf("writer %d: %v", i, err)
		}
	}
	for i, w := range writers {
		if _, err := w.Write(data[len(data)/2:]); err != nil {
			t.Fatalf("writer %d: %v", i, err)
		}
		// That it is there already is what BuildKit's copying takes for success.
		if err := w.Commit(ctx, desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
			t.Fatalf("writer %d: %v", i, err)
		}
		for j, s := range stores {
			if got, err := content.ReadBlob(ctx, s, desc); err != nil || !bytes.Equal(got, data) {
				t.Errorf("after writer %d store %d has %d bytes, %v", i, j, len(got), err)
			}
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "ingest")); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

func TestDescriptor(t *testing.T) {
	d := digest.FromString("manifest")
	raw := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + d.String() + `","size":7,"annotations":{"created":"now"}}`
	answer := func(s string) *client.SolveResponse {
		return &client.SolveResponse{ExporterResponse: map[string]string{"containerimage.descriptor": s}}
	}
	got, err := descriptor(answer(base64.StdEncoding.EncodeToString([]byte(raw))))
	if err != nil || got.MediaType != ocispec.MediaTypeImageManifest || got.Digest != d || got.Size != 7 || got.Annotations != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, resp := range map[string]*client.SolveResponse{
		"no answer":  {},
		"not base64": answer("{}"),
		"not JSON":   answer(base64.StdEncoding.EncodeToString([]byte("x"))),
	} {
		if got, err := descriptor(resp); err == nil {
			t.Errorf("%s gives %+v and no error", name, got)
		}
	}
}
