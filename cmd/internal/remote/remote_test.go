package remote

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"slipway/planner/dockerfile"
)

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestDigestOfALargeFile(t *testing.T) {
	const size = 256 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(w, zeros{}, size) //nolint:errcheck // the client's sum tells
	}))
	defer server.Close()
	want := sha256.New()
	if _, err := io.CopyN(want, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := Resolver{}.Digest(t.Context(), dockerfile.Remote{URL: server.URL})
	runtime.ReadMemStats(&after)
	if err != nil || got.Encoded() != fmt.Sprintf("%x", want.Sum(nil)) {
		t.Errorf("%s, %v", got, err)
	}
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 16 {
		t.Errorf("%d MiB of memory for a file of %d MiB", mb, size>>20)
	}
}

// A run that is stopped stops the download.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(w, zeros{}, 1<<20) //nolint:errcheck
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := (Resolver{}).Digest(ctx, dockerfile.Remote{URL: server.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := (Resolver{}).Commit(ctx, dockerfile.Remote{URL: server.URL + "/a.git"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The order is that of resolveMetadataFromURL in BuildKit's source/git.
func TestChosen(t *testing.T) {
	refs := map[string]string{
		"HEAD": "head", "refs/heads/main": "main", "refs/heads/both": "branch", "refs/tags/both": "tag", "refs/tags/both^{}": "tagged",
		"refs/tags/light": "light", "refs/tags/v1": "object", "refs/tags/v1^{}": "v1", "refs/pull/1/head": "pull", "refs/heads/tags/v1": "odd",
		"refs/remotes/x/main": "remote",
	}
	for ref, want := range map[string]string{
		"": "head", "main": "main", "refs/heads/main": "main", "heads/main": "main", "both": "branch", "refs/tags/both": "tagged",
		"light": "light", "v1": "v1", "refs/tags/v1": "v1", "tags/v1": "v1", "pull/1/head": "pull", "refs/pull/1/head": "pull",
		"x/main": "", "none": "", "remotes/x/main": "remote",
	} {
		if got := chosen(refs, ref); got != want {
			t.Errorf("%q is %q, want %q", ref, got, want)
		}
	}
}
