package stages

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/engine"
	"slipway/oci"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// world is an empty place of one kind for repositories.
type world struct {
	session *oci.Session
	place   string // what a repository's name follows
}

// places are the kinds of repository; every stage works on both alike.
var places = map[string]func(t *testing.T) string{
	"registry": func(t *testing.T) string {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://") + "/"
	},
	"layout": func(t *testing.T) string { return "oci:" + t.TempDir() + "/" },
}

func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	for name, place := range places {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, place(t))) })
	}
}

// newWorld never sees the Docker configuration of whoever runs the tests.
func newWorld(t *testing.T, place string) *world {
	t.Helper()
	s, err := oci.NewSession(oci.Options{DockerConfig: t.TempDir()})
	check(t, err)
	return &world{session: s, place: place}
}

func (w *world) repo(t *testing.T, name string) oci.Repository {
	t.Helper()
	ref, err := oci.ParseReference(w.place + name)
	check(t, err)
	repo, err := w.session.Repository(ref)
	check(t, err)
	return repo
}

// names is what a tag names, empty if there is no such tag.
func names(t *testing.T, repo oci.Repository, tag string) string {
	t.Helper()
	desc, _, err := oci.Lookup(t.Context(), repo, tag)
	check(t, err)
	return desc.Digest.String()
}

// unwritten fails the test, when called, if anything was written since.
func (w *world) unwritten(t *testing.T) (done func()) {
	t.Helper()
	writes, files := w.session.Requests().Writes, w.files(t)
	return func() {
		t.Helper()
		if n := w.session.Requests().Writes - writes; n != 0 {
			t.Errorf("%d writes to the registry", n)
		}
		after := w.files(t)
		for path, stat := range after {
			if before := files[path]; before == nil || !os.SameFile(before, stat) || !before.ModTime().Equal(stat.ModTime()) {
				t.Errorf("%s was written", path)
			}
		}
		if len(after) != len(files) {
			t.Errorf("there were %d files, now %d", len(files), len(after))
		}
	}
}

// files are those of all layouts.
func (w *world) files(t *testing.T) map[string]fs.FileInfo {
	t.Helper()
	files := map[string]fs.FileInfo{}
	root, ok := strings.CutPrefix(w.place, "oci:")
	if !ok {
		return files
	}
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			files[path], err = d.Info()
		}
		return err
	}))
	return files
}

// pushImage stores an image with this config and one layer; nothing is tagged.
func pushImage(ctx context.Context, repo oci.Repository, config string) (ocispec.Descriptor, error) {
	blobs := []oci.Blob{
		oci.NewBlob(ocispec.MediaTypeImageConfig, []byte(config)),
		oci.NewBlob(ocispec.MediaTypeImageLayerGzip, []byte("layer of "+config)),
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: blobs[0].Descriptor, Layers: []ocispec.Descriptor{blobs[1].Descriptor},
		Annotations: map[string]string{"kept": "yes"},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return oci.Pack(ctx, repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
}

// keyedImage stores an image under its key tag.
func keyedImage(t *testing.T, repo oci.Repository, name string) Image {
	t.Helper()
	desc, err := pushImage(t.Context(), repo, config(name))
	check(t, err)
	image, err := keyed{Repo: repo, Key: key(name)}.claim(t.Context(), desc)
	check(t, err)
	return image
}

func config(name string) string { return `{"author":"` + name + `"}` }

func key(name string) engine.Key { return engine.NewKeyWriter(name, 1, nil).Sum() }

// fakeSolver makes an image whose config holds the build's name.
type fakeSolver struct {
	session *oci.Session
	hook    func(ctx context.Context, b Build) error // before the image is stored; may be nil

	mu     sync.Mutex
	solved []string
}

func (s *fakeSolver) Solve(ctx context.Context, b Build) (ocispec.Descriptor, error) {
	s.mu.Lock()
	s.solved = append(s.solved, b.Name)
	s.mu.Unlock()
	if s.hook != nil {
		if err := s.hook(ctx, b); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	repo, err := s.session.Repository(b.Repo)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return pushImage(ctx, repo, config(b.Name))
}

func (s *fakeSolver) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.solved
	s.solved = nil
	return taken
}

func recipe(name string) Recipe {
	return func(context.Context, []Image) (Build, error) { return Build{Name: name}, nil }
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errBroken = errors.New("broken")
