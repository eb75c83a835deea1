package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/contentutil"
	"github.com/moby/buildkit/util/converter"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// datedExporter stores layers as the image exporter stores them, with fixed dates:
// BuildKit's own keeps them as they are on disk, and then the registry would get,
// and hold, each layer twice.
type datedExporter struct {
	remotecache.Exporter
	store content.Store
	epoch time.Time
	keep  map[digest.Digest]bool // by diff id: of base images, which stay as they are

	remotes []*solver.Remote
}

// dated wraps what makes exporters. The attributes that it reads are ignored by
// other BuildKits.
func dated(resolve remotecache.ResolveCacheExporterFunc, store content.Store) remotecache.ResolveCacheExporterFunc {
	return func(ctx context.Context, g session.Group, attrs map[string]string) (remotecache.Exporter, error) {
		exporter, err := resolve(ctx, g, attrs)
		if err != nil || attrs["source-date-epoch"] == "" {
			return exporter, err
		}
		seconds, err := strconv.ParseInt(attrs["source-date-epoch"], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the date of cached layers: %w", err)
		}
		d := &datedExporter{Exporter: exporter, store: store, epoch: time.Unix(seconds, 0).UTC(), keep: map[digest.Digest]bool{}}
		for id := range strings.SplitSeq(attrs["base-layers"], ",") {
			d.keep[digest.Digest(id)] = true
		}
		return d, nil
	}
}

// Add takes in copies of results, which Finalize changes: what they came from is
// used by others.
func (d *datedExporter) Add(dgst digest.Digest, deps [][]solver.CacheLink, results []solver.CacheExportResult) (solver.CacheExporterRecord, bool, error) {
	own := make([]solver.CacheExportResult, len(results))
	for i, r := range results {
		remote := &solver.Remote{Descriptors: append([]ocispec.Descriptor(nil), r.Result.Descriptors...), Provider: r.Result.Provider}
		d.remotes = append(d.remotes, remote)
		r.Result = remote
		own[i] = r
	}
	return d.Exporter.Add(dgst, deps, own)
}

// Finalize dates the layers, each once, and stores the cache.
func (d *datedExporter) Finalize(ctx context.Context) (map[string]string, error) {
	var mu sync.Mutex
	layers := map[digest.Digest]*ocispec.Descriptor{} // by what they were
	var group errgroup.Group
	group.SetLimit(2) // it is computing
	for _, remote := range d.remotes {
		for _, desc := range remote.Descriptors {
			mu.Lock()
			_, known := layers[desc.Digest]
			if !known {
				layers[desc.Digest] = nil // stays as it is
			}
			mu.Unlock()
			if known || d.keep[digest.Digest(desc.Annotations[labels.LabelUncompressed])] {
				continue
			}
			if _, err := d.store.Info(ctx, desc.Digest); err != nil {
				continue // a cached layer that nobody had to fetch
			}
			group.Go(func() error {
				layer := d.date(ctx, desc)
				mu.Lock()
				defer mu.Unlock()
				layers[desc.Digest] = layer
				return nil
			})
		}
	}
	group.Wait() //nolint:errcheck // none returns one
	for _, remote := range d.remotes {
		provider := contentutil.NewMultiProvider(remote.Provider)
		for i, desc := range remote.Descriptors {
			if layer := layers[desc.Digest]; layer != nil {
				remote.Descriptors[i] = *layer
				provider.Add(layer.Digest, d.store)
			}
		}
		remote.Provider = provider
	}
	return d.Exporter.Finalize(ctx)
}

// date is the layer as the image exporter makes it; nil if it is so already, or
// cannot be: then it stays as it is in the image, too.
func (d *datedExporter) date(ctx context.Context, desc ocispec.Descriptor) *ocispec.Descriptor {
	convert, err := converter.NewWithRewriteTimestamp(ctx, d.store, desc, d.Config().Compression, &d.epoch, nil)
	if err != nil || convert == nil {
		return nil
	}
	layer, err := convert(ctx, d.store, desc)
	if err != nil {
		bklog.G(ctx).WithError(err).Warnf("dating cached layer %s", desc.Digest)
		return nil
	}
	return layer
}
