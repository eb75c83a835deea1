package oci

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// claimAll claims one tag for as many manifests as there are repositories, at
// once, and returns what each writer was told.
func claimAll(t *testing.T, repos []Repository) []digest.Digest {
	t.Helper()
	descs := make([]ocispec.Descriptor, len(repos))
	for i, repo := range repos {
		descs[i] = pushImage(t, repo, fmt.Sprint("writer ", i), linux)
	}
	told := make([]digest.Digest, len(repos))
	group, ctx := errgroup.WithContext(t.Context())
	for i, repo := range repos {
		group.Go(func() error {
			desc, err := Claim(ctx, repo, descs[i], "key")
			told[i] = desc.Digest
			return err
		})
	}
	check(t, group.Wait())
	for _, repo := range repos {
		desc, found, err := Lookup(t.Context(), repo, "key")
		check(t, err)
		if !found {
			t.Fatal("the tag does not exist after it was claimed")
		}
		told = append(told, desc.Digest)
	}
	return told
}

func wantOne(t *testing.T, told []digest.Digest) {
	t.Helper()
	if slices.ContainsFunc(told, func(d digest.Digest) bool { return d != told[0] || d == "" }) {
		t.Errorf("writers were told different winners: %v", told)
	}
}

func TestClaimWithinOneSession(t *testing.T) {
	repo := repository(t, newSession(t, Options{}), startRegistry(t)+"/a")
	wantOne(t, claimAll(t, slices.Repeat([]Repository{repo}, 8)))
}

// Eight sessions all see no tag, then all write, then all look: the schedule in
// which the protocol has to find one winner.
func TestClaimBetweenSessions(t *testing.T) {
	const writers = 8
	host := startRegistry(t)
	var missed, settled sync.WaitGroup
	missed.Add(writers)
	settled.Add(writers)
	repos := make([]Repository, writers)
	for i := range repos {
		transport := &recorder{before: func(req *http.Request) {
			if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/key") {
				missed.Done()
				missed.Wait()
			}
		}}
		s := newSession(t, Options{Transport: transport})
		s.settle = func(context.Context, time.Duration) error {
			settled.Done()
			settled.Wait()
			return nil
		}
		repos[i] = repository(t, s, host+"/a")
	}
	wantOne(t, claimAll(t, repos))
}

// Another's late PUT arrives while this writer waits: it adopts the other's.
func TestClaimAdoptsLateWriter(t *testing.T) {
	host := startRegistry(t)
	s := newSession(t, Options{})
	repo, rival := repository(t, s, host+"/a"), repository(t, newSession(t, Options{}), host+"/a")
	mine, theirs := pushImage(t, repo, "mine", linux), pushImage(t, repo, "theirs", linux)
	waited := time.Duration(0)
	s.settle = func(ctx context.Context, d time.Duration) error {
		waited = d
		return rival.Tag(ctx, theirs, "key")
	}
	got, err := Claim(t.Context(), repo, mine, "key")
	check(t, err)
	if got.Digest != theirs.Digest || waited <= 0 {
		t.Errorf("got %s after %s, want %s after some time", got.Digest, waited, theirs.Digest)
	}
}

func TestClaimCostAndStability(t *testing.T) {
	transport := &recorder{}
	repo := repository(t, newSession(t, Options{Transport: transport}), startRegistry(t)+"/a")
	first, second := pushImage(t, repo, "first", linux), pushImage(t, repo, "second", linux)
	transport.take()

	got, err := Claim(t.Context(), repo, first, "key")
	check(t, err)
	if !same(got, first) {
		t.Errorf("claimed %+v, want %+v", got, first)
	}
	want := []string{"GET /v2/a/manifests/" + first.Digest.String(), "HEAD /v2/a/manifests/key", "PUT /v2/a/manifests/key", "HEAD /v2/a/manifests/key"}
	if requests := transport.take(); !slices.Equal(requests, want) {
		t.Errorf("a claim sent %q, want %q", requests, want)
	}

	got, err = Claim(t.Context(), repo, second, "key")
	check(t, err)
	if !same(got, first) {
		t.Errorf("the second claim returned %+v, want the first's %+v", got, first)
	}
	for _, request := range transport.take() {
		if strings.HasPrefix(request, "PUT") {
			t.Errorf("a claimed tag was written: %s", request)
		}
	}
}

// A registry with immutable tags refuses the loser's PUT.
func TestClaimImmutableTag(t *testing.T) {
	var tagged atomic.Bool
	host := startRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/key") && tagged.Swap(true) {
				w.WriteHeader(http.StatusConflict)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	repo := repository(t, newSession(t, Options{}), host+"/a")
	winner, loser := pushImage(t, repo, "winner", linux), pushImage(t, repo, "loser", linux)
	check(t, repo.Tag(t.Context(), winner, "key"))
	wantError(t, repo.Tag(t.Context(), loser, "key"), "tag "+host+"/a:key", "409 Conflict")
	missed := false
	put := func() error { return repo.Tag(t.Context(), loser, "key") }
	got, err := raceForTag(t.Context(), &missingOnce{Repository: repo, missed: &missed}, "key", put, sleep)
	check(t, err)
	if !same(got, winner) || !missed {
		t.Errorf("got %+v, want %+v", got, winner)
	}
}

// missingOnce does not find a tag when first asked.
type missingOnce struct {
	Repository
	missed *bool
}

func (m *missingOnce) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	if !*m.missed {
		*m.missed = true
		return m.Repository.Resolve(ctx, "no-such-tag")
	}
	return m.Repository.Resolve(ctx, reference)
}

// A repository of another kind is claimed by the common protocol.
func TestClaimOtherRepository(t *testing.T) {
	missed := true
	repo := &missingOnce{Repository: repository(t, newSession(t, Options{}), startRegistry(t)+"/a"), missed: &missed}
	desc := pushImage(t, repo, "x", linux)
	got, err := Claim(t.Context(), repo, desc, "key")
	check(t, err)
	if !same(got, desc) {
		t.Errorf("got %+v, want %+v", got, desc)
	}
}

func TestClaimErrors(t *testing.T) {
	host := startRegistry(t)
	s := newSession(t, Options{})
	for _, name := range []string{host + "/a", "oci:" + t.TempDir() + "/new"} {
		repo := repository(t, s, name)
		manifest, _ := testImage("absent", linux)
		absent := NewBlob(ocispec.MediaTypeImageManifest, manifest).Descriptor
		_, err := Claim(t.Context(), repo, absent, "key")
		wantError(t, err, name, "not found")
		_, err = Claim(t.Context(), repo, absent, "no/tag")
		wantError(t, err, "invalid tag")
		_, err = Move(t.Context(), repo, absent, "-")
		wantError(t, err, "invalid tag")
		if _, found, err := Lookup(t.Context(), repo, "key"); found || err != nil {
			t.Errorf("%s: a failed claim left a tag: %t, %v", name, found, err)
		}
	}
}

func TestMove(t *testing.T) {
	transport := &recorder{}
	s := newSession(t, Options{Transport: transport})
	for _, name := range []string{startRegistry(t) + "/a", "oci:" + t.TempDir()} {
		repo := repository(t, s, name)
		first, second := pushImage(t, repo, "first", linux), pushImage(t, repo, "second", linux)
		for i, step := range []struct {
			desc    ocispec.Descriptor
			changed bool
		}{{first, true}, {first, false}, {second, true}, {second, false}, {first, true}} {
			transport.take()
			changed, err := Move(t.Context(), repo, step.desc, "latest")
			check(t, err)
			if changed != step.changed {
				t.Errorf("%s, step %d: changed is %t", name, i, changed)
			}
			if requests := transport.take(); !changed && !repo.Reference().IsLayout() && !slices.Equal(requests, []string{"HEAD /v2/a/manifests/latest"}) {
				t.Errorf("%s, step %d: a no-op sent %q", name, i, requests)
			}
			got, found, err := Lookup(t.Context(), repo, "latest")
			check(t, err)
			if !found || !same(got, step.desc) {
				t.Errorf("%s, step %d: the alias names %+v, want %+v", name, i, got, step.desc)
			}
		}
	}
}
