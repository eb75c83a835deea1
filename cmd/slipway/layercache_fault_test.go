package main

import (
	"context"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// isCachePut tells the write of a cache's tag.
func isCachePut(req *http.Request) bool {
	_, tag, ok := strings.Cut(req.URL.Path, "/manifests/")
	return ok && req.Method == http.MethodPut && isCacheTag(tag)
}

// A registry that takes no caches costs a note, and nothing else.
func TestLayerCacheIsRefused(t *testing.T) {
	tests := map[string]testenv.Option{
		"manifests": testenv.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
			if isCachePut(req) {
				testenv.Refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "only images are taken")
				return true
			}
			return false
		}),
		"look-ups": testenv.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
			if strings.Contains(req.URL.Path, "/manifests/cache-") {
				testenv.Refuse(w, http.StatusForbidden, "DENIED", "no caches here")
				return true
			}
			return false
		}),
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			registry := shopRegistry(t, fault)
			repo, args := shop(t), shopArgs(registry, "export", "--tag", registry.Host+"/published/%image%:v1")
			r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			if n := strings.Count(r.Stderr, "layer caches cannot be"); n != 1 || strings.Contains(r.Stderr, "failed") {
				t.Errorf("%d notes, want one, and no failure:\n%s", n, r.Stderr)
			}
			if tags := registry.Tags("shop"); len(tags) != 3 || registry.Digest("published/back:v1") == "" {
				t.Errorf("tags %v", tags)
			}
			registry.Reset()
			if r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t); len(registry.Writes()) > 0 || !strings.Contains(r.Stderr, "Nothing to do") {
				t.Errorf("the second run: %v\n%s", registry.Writes(), r.Stderr)
			}
		})
	}
}

// A registry of caches that says nothing is waited for once, and not for ever.
func TestLayerCacheIsDead(t *testing.T) {
	t.Parallel()
	dead := testenv.Registry(t, testenv.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		<-req.Context().Done()
		return true
	}))
	registry, repo := shopRegistry(t), shop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // for a run that waits for ever
	defer cancel()
	r := testenv.Slipway(t).RunContext(ctx, repo.Dir, nil, shopArgs(registry, "build", "--cache-repo", dead.Host+"/caches")...).Must(t)
	if n := strings.Count(r.Stderr, "layer caches cannot be looked for in "+dead.Host+"/caches, and the run goes on without (--cache off asks for none): no answer for 10s"); n != 1 {
		t.Errorf("%d notes, want one:\n%s", n, r.Stderr)
	}
}

// A cache whose layers the registry has collected is done without, and replaced.
func TestLayerCacheIsGone(t *testing.T) {
	steps := countSteps(t)
	for name, second := range map[string]string{"wanted for a step": "app", "wanted for the image": "other"} {
		t.Run(name, func(t *testing.T) {
			var gone sync.Map
			caches := testenv.Registry(t, testenv.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				_, isGone := gone.Load(path.Base(req.URL.Path))
				if isGone {
					testenv.Refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "collected")
				}
				return isGone
			}))
			registry, repo := busyRegistry(t), staged(t, steps)
			build := func(to string) testenv.Result {
				t.Helper()
				return testenv.Slipway(t).Run(repo.Dir, nil, "build", "--repo", registry.Host+"/"+to, "--cache-repo", caches.Host+"/caches",
					"--container-registry-mirror", "http://"+registry.Host).Must(t)
			}
			build("app")
			steps.expect(t, "first", "base", "build", "tools")
			for _, layer := range layersOf(t, caches, "caches:"+caches.Tags("caches")[0]) {
				gone.Store(layer, true)
			}
			if second == "app" {
				repo.Write("file", "two")
				repo.Commit("change")
			}
			if r := build(second); strings.Count(r.Stderr, "building again without layer caches: ") != 1 {
				t.Errorf("nothing is said:\n%s", r.Stderr)
			}
			steps.expect(t, "without the cache", "base", "build", "tools")
			gone.Clear()
			repo.Write("file", "three")
			repo.Commit("change again")
			build("app")
			steps.expect(t, "with the one that replaced it", "build")
		})
	}
}

// Nothing waits for a cache but the end of the run, and Ctrl-C ends that, too.
func TestLayerCacheIsSlow(t *testing.T) {
	published, stuck := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := testenv.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if isCachePut(req) {
			io.Copy(io.Discard, req.Body) //nolint:errcheck // else the server does not see that the client has gone
			once.Do(func() { close(stuck) })
			<-req.Context().Done()
			return true
		}
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/published/manifests/v1") {
			close(published)
		}
		return false
	})
	registry, steps := busyRegistry(t, hold), countSteps(t)
	repo := staged(t, steps)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // for a run that waits for the cache
	defer cancel()
	go func() {
		<-published
		<-stuck
		cancel()
	}()
	r := testenv.Slipway(t).RunContext(ctx, repo.Dir, nil, cacheArgs(registry, "export", "--tag", registry.Host+"/published:v1")...).Must(t)
	select {
	case <-published:
	default:
		t.Errorf("the tag waits for the cache:\n%s", r.Stderr)
	}
	if !strings.Contains(r.Stdout, "/published:v1") || strings.Contains(r.Stderr, "layer caches cannot be") {
		t.Errorf("%s%s", r.Stdout, r.Stderr)
	}
	if tags := registry.Tags("app"); len(tags) != 1 || isCacheTag(tags[0]) {
		t.Errorf("tags %v", tags)
	}
}
