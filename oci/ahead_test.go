package oci

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

// What is looked up ahead is requested once, and answers the first who asks; who
// asks again gets the answer of then.
func TestLookAhead(t *testing.T) {
	requests := &recorder{}
	repo := repository(t, newSession(t, Options{Transport: requests}), startRegistry(t)+"/project/app")
	desc := pushImage(t, repo, "x", linux)
	check(t, repo.Tag(t.Context(), desc, "there"))
	requests.take()
	for range 2 {
		LookAhead(t.Context(), repo, "there")
		LookAhead(t.Context(), repo, "missing")
	}
	got, found, err := Lookup(t.Context(), repo, "there")
	if check(t, err); !found || !same(got, desc) {
		t.Errorf("found %t, %+v", found, got)
	}
	if _, found, err := Lookup(t.Context(), repo, "missing"); found || err != nil {
		t.Errorf("what is missing: found %t, %v", found, err)
	}
	if n := len(requests.take()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	check(t, repo.Tag(t.Context(), desc, "missing"))
	if _, found, err := Lookup(t.Context(), repo, "missing"); !found || err != nil {
		t.Errorf("the answer was kept: found %t, %v", found, err)
	}
}

// A run that is cancelled waits for no answer.
func TestLookAheadCancelled(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	requests := &recorder{before: func(*http.Request) { close(asked); <-release }}
	repo := repository(t, newSession(t, Options{Transport: requests}), startRegistry(t)+"/project/app")
	LookAhead(t.Context(), repo, "tag")
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Lookup(ctx, repo, "tag"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
