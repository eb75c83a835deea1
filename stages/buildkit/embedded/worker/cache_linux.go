package worker

import (
	"context"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/worker"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// cacheExporters and cacheImporters are the layer caches that builds can use:
// those in registries, reached as all others are.
func cacheExporters(m *session.Manager, store content.Store, hosts docker.RegistryHosts) map[string]remotecache.ResolveCacheExporterFunc {
	return map[string]remotecache.ResolveCacheExporterFunc{"registry": dated(registry.ResolveCacheExporterFunc(m, hosts), store)}
}

func cacheImporters(m *session.Manager, store content.Store, hosts docker.RegistryHosts) map[string]remotecache.ResolveCacheImporterFunc {
	once := &readOnce{resolve: registry.ResolveCacheImporterFunc(m, store, hosts), caches: map[string]*readCache{}}
	return map[string]remotecache.ResolveCacheImporterFunc{"registry": once.importer}
}

// readOnce reads a cache's manifest and records once for all builds of a run: by
// itself BuildKit does it for every solve, with three requests, and a build and
// the export of its cache are two.
type readOnce struct {
	resolve remotecache.ResolveCacheImporterFunc

	mu     sync.Mutex
	caches map[string]*readCache
}

// readCache is one cache. Its content is immutable; layers are fetched with the
// credentials of the session that wants them.
type readCache struct {
	mu      sync.Mutex
	manager solver.CacheManager
	err     error // if it took too long
}

// readPatience is how long builds wait for a cache's manifest and records, which
// are small; BuildKit would wait for ever.
const readPatience = 30 * time.Second

func (o *readOnce) importer(_ context.Context, g session.Group, attrs map[string]string) (remotecache.Importer, ocispec.Descriptor, error) {
	ref := attrs["ref"]
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.caches[ref]
	if c == nil {
		c = &readCache{}
		o.caches[ref] = c
	}
	return importerFunc(func(ctx context.Context, id string, w worker.Worker) (solver.CacheManager, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.manager != nil || c.err != nil {
			return c.manager, c.err
		}
		ctx, cancel := context.WithTimeout(ctx, readPatience)
		defer cancel()
		importer, desc, err := o.resolve(ctx, g, attrs)
		if err == nil {
			c.manager, err = importer.Resolve(ctx, desc, id, w)
		}
		if ctx.Err() != nil { // else the next build tries again
			c.err = err
		}
		return c.manager, err
	}), ocispec.Descriptor{}, nil
}

// importerFunc is a remotecache.Importer that knows what it imports.
type importerFunc func(ctx context.Context, id string, w worker.Worker) (solver.CacheManager, error)

func (f importerFunc) Resolve(ctx context.Context, _ ocispec.Descriptor, id string, w worker.Worker) (solver.CacheManager, error) {
	return f(ctx, id, w)
}
