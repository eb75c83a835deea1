package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

var extensions = []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"}

// sample is a layout: an index of two platforms, tagged v1, whose images share a
// layer; one layer is not compressed.
type sample struct {
	plan  []ocispec.Descriptor
	index ocispec.Index
	blobs map[digest.Digest][]byte
}

func (s *sample) add(mediaType string, data []byte) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if _, ok := s.blobs[desc.Digest]; !ok {
		s.blobs[desc.Digest] = data
		s.plan = append(s.plan, desc)
	}
	return desc
}

func (s *sample) addJSON(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return s.add(mediaType, data)
}

func (s *sample) open(d digest.Digest) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.blobs[d])), nil }
}

// noise is data that does not compress, the same each time.
func noise(seed uint64, size int) []byte {
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(data)
	return data
}

func layerTar(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte, comment string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Comment = comment
	z.Write(data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newSample(t testing.TB) *sample {
	t.Helper()
	s := &sample{blobs: map[digest.Digest][]byte{}}
	shared := layerTar(t, "shared", noise(1, 300_000))
	var children []ocispec.Descriptor
	for i, arch := range []string{"amd64", "arm64"} {
		own := layerTar(t, "own", bytes.Repeat([]byte(arch), 50_000+i))
		layers := []ocispec.Descriptor{
			s.add(ocispec.MediaTypeImageLayerGzip, gzipped(t, shared, "")),
			s.add(ocispec.MediaTypeImageLayer, own),
		}
		platform := ocispec.Platform{OS: "linux", Architecture: arch}
		config := s.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{Platform: platform, RootFS: ocispec.RootFS{
			Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(shared), digest.FromBytes(own)},
		}})
		child := s.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: layers,
		})
		child.Platform = &platform
		children = append(children, child)
	}
	root := s.addJSON(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children,
	})
	root.Annotations = map[string]string{ocispec.AnnotationRefName: "v1"}
	s.index = ocispec.Index{Manifests: []ocispec.Descriptor{root}}
	return s
}

func (s *sample) write(t testing.TB, path string) {
	t.Helper()
	w, err := Create(t.Context(), path, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, desc := range s.plan {
		if err := w.Add(t.Context(), desc, s.open(desc.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), s.index); err != nil {
		t.Fatal(err)
	}
}

func (s *sample) bytes(t testing.TB, extension string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a"+extension)
	s.write(t, path)
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// checkWhole fetches all blobs at once.
func (s *sample) checkWhole(t testing.TB, r *Reader) {
	t.Helper()
	var group errgroup.Group
	for _, desc := range s.plan {
		group.Go(func() error {
			rc, err := r.Fetch(t.Context(), desc)
			if err != nil {
				return err
			}
			defer rc.Close()
			data, err := io.ReadAll(rc)
			if err == nil && !bytes.Equal(data, s.blobs[desc.Digest]) {
				err = fmt.Errorf("%s has other content", desc.Digest)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if missing, err := r.Missing(t.Context()); err != nil || len(missing) > 0 {
		t.Errorf("missing %v, %v", missing, err)
	}
	root := s.index.Manifests[0]
	if desc, err := r.Resolve(t.Context(), "v1"); err != nil || desc.Digest != root.Digest {
		t.Errorf("v1 is %v, %v", desc, err)
	}
}

func TestRoundTrip(t *testing.T) {
	s := newSample(t)
	for _, extension := range extensions {
		t.Run(extension, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a"+extension)
			s.write(t, path)
			if _, err := os.Stat(path + ".part"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the .part is still there: %v", err)
			}
			r := open(t, path)
			if r.spool != nil {
				t.Error("our own archive was unpacked")
			}
			s.checkWhole(t, r)
			dst, err := oci.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if desc, err := oras.Copy(t.Context(), r, "v1", dst, "v1", oras.CopyOptions{}); err != nil || desc.Digest != s.index.Manifests[0].Digest {
				t.Errorf("copied %v, %v", desc, err)
			}
		})
	}
}

// The bytes depend neither on how the data arrives nor on what stands there.
func TestBytesAreAFunctionOfTheContent(t *testing.T) {
	s := newSample(t)
	for _, extension := range extensions {
		once := s.bytes(t, extension)
		path := filepath.Join(t.TempDir(), "b"+extension)
		if err := os.WriteFile(path, []byte("an older file"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := Create(t.Context(), path, s.plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, desc := range s.plan {
			err := w.Add(t.Context(), desc, func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(s.blobs[desc.Digest])))), nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(t.Context(), s.index); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, read(t, path)) {
			t.Errorf("%s: other bytes for the same content", extension)
		}
	}
	headers := tar.NewReader(bytes.NewReader(s.bytes(t, ".tar")))
	for {
		hdr, err := headers.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		mode := map[byte]int64{tar.TypeReg: 0o644, tar.TypeDir: 0o755}[hdr.Typeflag]
		if hdr.ModTime.Unix() != entryTime || hdr.Mode != mode || hdr.Uid+hdr.Gid != 0 || hdr.Uname+hdr.Gname != "" {
			t.Errorf("header %+v", hdr)
		}
	}
}

func TestAddRefusesWrongContent(t *testing.T) {
	s := newSample(t)
	for _, extension := range []string{".tar", ".tgz", ".tzst"} {
		whole := s.bytes(t, extension)
		path := filepath.Join(t.TempDir(), "a"+extension)
		w, err := Create(t.Context(), path, s.plan)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		first := s.plan[0]
		right := s.blobs[first.Digest]
		for name, from := range map[string]io.Reader{
			"other":     bytes.NewReader(append([]byte{right[0] + 1}, right[1:]...)),
			"shorter":   bytes.NewReader(right[1:]),
			"cut off":   io.MultiReader(bytes.NewReader(right[1:]), iotest.ErrReader(io.ErrUnexpectedEOF)),
			"longer":    bytes.NewReader(append(bytes.Clone(right), 0)),
			"failing":   io.MultiReader(bytes.NewReader(right[1:]), iotest.ErrReader(errors.New("no more"))),
			"cancelled": cancelledReader{},
		} {
			err := w.Add(t.Context(), first, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(from), nil })
			if err == nil || w.Has(first.Digest) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Add(t.Context(), s.plan[1], s.open(s.plan[1].Digest)); err == nil {
			t.Error("added out of order")
		}
		if err := w.Add(t.Context(), ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}, nil); err == nil {
			t.Error("added what is not planned")
		}
		if err := w.Commit(t.Context(), s.index); err == nil || !strings.Contains(err.Error(), "missing") {
			t.Errorf("committed with blobs missing: %v", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a file: %v", err)
		}
		for _, desc := range s.plan {
			if err := w.Add(t.Context(), desc, s.open(desc.Digest)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(t.Context(), s.index); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole, read(t, path)) {
			t.Errorf("%s: what was refused has left traces", extension)
		}
	}
}

type cancelledReader struct{}

func (cancelledReader) Read([]byte) (int, error) { return 0, context.Canceled }

func TestCreateRefuses(t *testing.T) {
	s := newSample(t)
	dir := t.TempDir()
	for _, test := range []struct {
		path string
		plan []ocispec.Descriptor
		want string
	}{
		{"a.zip", s.plan, "let it end in .tar"},
		{"tar", s.plan, "let it end in .tar"},
		{"a.tar", append(s.plan[:1:1], s.plan[0]), "twice"},
		{"a.tar", []ocispec.Descriptor{{Digest: "sha256:../../x", Size: 1}}, "digest"},
		{"a.tar", []ocispec.Descriptor{{Digest: digest.FromString(""), Size: -1}}, "size"},
		{"none/a.tar", s.plan, "no such file"},
		{".tar", s.plan, "is no file"},
	} {
		if err := os.MkdirAll(filepath.Join(dir, ".tar"), 0o777); err != nil {
			t.Fatal(err)
		}
		if w, err := Create(t.Context(), filepath.Join(dir, test.path), test.plan); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.path, w, err)
		}
	}
}

func TestOneWriterPerFile(t *testing.T) {
	s := newSample(t)
	path := filepath.Join(t.TempDir(), "a.tar")
	w, err := Create(t.Context(), path, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(t.Context(), path, s.plan); err == nil || !strings.Contains(err.Error(), "another process is writing it") {
		t.Errorf("a second writer: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(t.Context(), s.plan[0], nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("add after close: %v", err)
	}
	s.write(t, path)
}

func TestLargeAndOddNames(t *testing.T) {
	s := &sample{blobs: map[digest.Digest][]byte{}}
	for _, algorithm := range []digest.Algorithm{digest.SHA512, digest.SHA384, digest.SHA256} {
		for size := range 3 {
			data := noise(uint64(size), size*511)
			desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: algorithm.FromBytes(data), Size: int64(len(data))}
			s.blobs[desc.Digest] = data
			s.plan = append(s.plan, desc)
		}
	}
	s.index.Manifests = s.plan[:1:1]
	s.index.Manifests[0].Annotations = map[string]string{ocispec.AnnotationRefName: "v1"}
	for _, extension := range extensions {
		path := filepath.Join(t.TempDir(), "a"+extension)
		s.write(t, path)
		s.checkWhole(t, open(t, path))
	}
}

// A layout in which something is missing is what it is.
func TestMissing(t *testing.T) {
	s := newSample(t)
	all := s.plan
	layer := all[0]
	s.plan = all[1:]
	path := filepath.Join(t.TempDir(), "a.tar.zst")
	s.write(t, path)
	r := open(t, path)
	missing, err := r.Missing(t.Context())
	if err != nil || len(missing) != 1 || missing[0].Digest != layer.Digest {
		t.Errorf("missing %v, %v", missing, err)
	}
	if r.Has(layer.Digest) || !r.Has(all[1].Digest) {
		t.Error("Has is wrong")
	}
	if _, err := r.Fetch(t.Context(), layer); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("fetched what is missing: %v", err)
	}
}
