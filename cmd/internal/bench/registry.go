package bench

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// silence turns off distribution's log, which goes to a logger of the process.
var silence = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// Registry is distribution's registry, the code of the registry:3 image and with
// that image's settings, in this process, with its content in files. It is
// reached through its fronts.
type Registry struct {
	dir    string
	app    *handlers.App
	cancel context.CancelFunc

	mu     sync.Mutex
	fronts map[Link]*Front
}

// NewRegistry starts a registry that keeps its content under dir.
func NewRegistry(dir string) *Registry {
	silence()
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem": {"rootdirectory": dir},
		"cache":      {"blobdescriptor": "inmemory"},
		"delete":     {"enabled": true},
		// The purger is a goroutine that would outlive its registry.
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.Secret = "bench"
	ctx, cancel := context.WithCancel(context.Background())
	return &Registry{dir: dir, app: handlers.NewApp(ctx, c), cancel: cancel, fronts: map[Link]*Front{}}
}

// Front is the registry's one address over a link.
func (r *Registry) Front(link Link) (*Front, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.fronts[link]; f != nil {
		return f, nil
	}
	f, err := NewFront(r.app, link)
	if err == nil {
		r.fronts[link] = f
	}
	return f, err
}

// Close closes all fronts. The content stays.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, f := range r.fronts {
		err = errors.Join(err, f.Close())
	}
	r.cancel()
	return errors.Join(err, r.app.Shutdown())
}

// baseOf makes the image that all others are made from: the program work, for
// each of so many platforms the same one, since it only runs on the first.
func baseOf(work string, n int) (v1.ImageIndex, error) {
	program, err := os.ReadFile(work)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	err = tw.WriteHeader(&tar.Header{Name: "work", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = tw.Write(program)
	}
	if err = errors.Join(err, tw.Close()); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms[:max(n, 1)] {
		os, arch, _ := strings.Cut(p, "/")
		img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{
			OS: os, Architecture: arch, Config: v1.Config{Env: []string{"PATH=/"}}, RootFS: v1.RootFS{Type: "layers"},
		})
		if err == nil {
			img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "bench"}})
		}
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}},
		})
	}
	return index, nil
}

// pushBase puts the base image where a mirror of Docker Hub has it.
func (r *Registry) pushBase(ctx context.Context, work string, platforms int) error {
	index, err := baseOf(work, platforms)
	if err != nil {
		return fmt.Errorf("making the base image: %w", err)
	}
	return r.push(ctx, "library/"+baseImage, index)
}

func (r *Registry) push(ctx context.Context, path string, index v1.ImageIndex) error {
	f, err := r.Front(Link{})
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(f.Host+"/"+path, name.Insecure)
	if err == nil {
		err = remote.WriteIndex(ref, index, remote.WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("pushing %s to the registry: %w", path, err)
	}
	return nil
}

// seed puts the base image, small as it is, under every tag of a repository: to
// look-ups, the registry then holds them all.
func (r *Registry) seed(ctx context.Context, work, repo string, tags []string) error {
	index, err := baseOf(work, 1)
	if err != nil {
		return fmt.Errorf("making the base image: %w", err)
	}
	if err := r.push(ctx, repo+":seed", index); err != nil {
		return err
	}
	f, err := r.Front(Link{})
	if err != nil {
		return err
	}
	manifests, err := index.IndexManifest()
	if err != nil {
		return err
	}
	img, err := index.Image(manifests.Manifests[0].Digest)
	if err != nil {
		return err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, tag := range tags {
		group.Go(func() error {
			url := "http://" + f.Host + "/v2/" + repo + "/manifests/" + tag
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(manifest))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", string(types.OCIManifestSchema1))
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				return fmt.Errorf("PUT %s: %s", url, resp.Status)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("filling the registry: %w", err)
	}
	return nil
}
