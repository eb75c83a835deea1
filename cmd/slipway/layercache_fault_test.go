package main

import (
	"context"
	"io"
	"net/http"
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
