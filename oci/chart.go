package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// maxChartSize bounds a chart's archive, which is held in memory: Helm takes no
// chart that is larger when it is unpacked.
const maxChartSize = 100 << 20

// mediaTypeOldChart is what Helm called a chart's archive before version 3.7.
const mediaTypeOldChart = "application/tar+gzip"

// Chart fetches the archive of a Helm chart that others have published, by its
// tag. Mirrors of docker.io are asked first.
func (s *Session) Chart(ctx context.Context, ref Reference) (archive []byte, err error) {
	err = s.pull(ctx, "fetch the chart", ref.String(), pullHost(ref.Registry), ref.Repository, func(repo *remote.Repository) error {
		archive, err = readChart(ctx, repo, ref.Tag)
		return err
	})
	return archive, err
}

// Tags lists the tags of a repository of somebody else's, in no order. It costs a
// request for some hundred tags.
func (s *Session) Tags(ctx context.Context, ref Reference) (tags []string, err error) {
	err = s.pull(ctx, "list the tags of", ref.Name(), pullHost(ref.Registry), ref.Repository, func(repo *remote.Repository) error {
		tags = nil
		return repo.Tags(ctx, "", func(page []string) error {
			tags = append(tags, page...)
			return nil
		})
	})
	return tags, err
}

// pullHost is what a registry is called where its mirrors are looked for: Helm has
// charts of Docker Hub under the name of its API's host.
func pullHost(registry string) string {
	if registry == dockerHubHost {
		return dockerHub
	}
	return registry
}

func readChart(ctx context.Context, repo *remote.Repository, tag string) ([]byte, error) {
	root, rc, err := repo.FetchReference(ctx, tag)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if root.Size > MaxManifestSize {
		return nil, fmt.Errorf("the manifest has %d bytes, more than the %d allowed", root.Size, MaxManifestSize)
	}
	raw, err := content.ReadAll(rc, root)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", root.Digest, err)
	}
	i := slices.IndexFunc(manifest.Layers, func(l ocispec.Descriptor) bool {
		return l.MediaType == MediaTypeHelmChart || l.MediaType == mediaTypeOldChart
	})
	if i < 0 || manifest.Config.MediaType != MediaTypeHelmConfig {
		return nil, fmt.Errorf("%s is no Helm chart: its config is of the type %q", root.Digest, manifest.Config.MediaType)
	}
	if manifest.Layers[i].Size > maxChartSize {
		return nil, fmt.Errorf("the chart has %d bytes, more than the %d allowed", manifest.Layers[i].Size, maxChartSize)
	}
	return content.FetchAll(ctx, repo.Blobs(), manifest.Layers[i])
}

// Download fetches what lies at a URL beside the registries, as the charts of
// Helm's classic repositories do: over the session's connections, counted, and
// with the credentials for its host if they are asked for. It is bounded to
// 100 MiB.
func (s *Session) Download(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &Error{Op: "fetch", Ref: redact(url), Err: err}
	}
	data, err := s.download(req)
	return data, s.fail("fetch", redact(url), req.URL.Host, err)
}

func (s *Session) download(req *http.Request) ([]byte, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{resp.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxChartSize+1))
	if err == nil && len(data) > maxChartSize {
		err = fmt.Errorf("it has more than the %d bytes allowed", maxChartSize)
	}
	return data, err
}

// statusError is an answer of a server that is no registry.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
}
