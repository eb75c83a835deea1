package oci

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// author is the name that testImage put into a config.
func author(t *testing.T, config []byte) string {
	t.Helper()
	var image ocispec.Image
	check(t, json.Unmarshal(config, &image))
	return image.Author
}

func TestResolveImage(t *testing.T) {
	host := startRegistry(t)
	s := newSession(t, Options{})
	repo := repository(t, s, host+"/base")
	single := pushImage(t, repo, "single", linux)
	check(t, repo.Tag(t.Context(), single, "single"))
	check(t, repo.Tag(t.Context(), single, "latest"))
	v7 := ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	v6 := ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
	index := pushIndex(t, repo, "multi", v6, linux, v7, ocispec.Platform{OS: "unknown", Architecture: "unknown"})
	check(t, repo.Tag(t.Context(), index, "multi"))

	for _, test := range []struct {
		name     string
		platform ocispec.Platform
		digest   ocispec.Descriptor
		author   string
	}{
		{":single", linux, single, "single"},
		{"", linux, single, "single"},
		{"@" + single.Digest.String(), linux, single, "single"},
		{":multi@" + single.Digest.String(), linux, single, "single"},
		{":multi", linux, index, "multi linuxamd64"},
		{":multi", v7, index, "multi linuxarmv7"},
		{":multi", v6, index, "multi linuxarmv6"},
		{"@" + index.Digest.String(), arm, index, "multi linuxarmv7"}, // what an arm64 machine can run
	} {
		t.Run(test.name+" "+test.platform.Architecture+test.platform.Variant, func(t *testing.T) {
			before := s.Requests()
			digest, config, err := s.ResolveImage(t.Context(), host+"/base"+test.name, test.platform)
			check(t, err)
			if digest != test.digest.Digest || author(t, config) != test.author {
				t.Errorf("got %s by %q, want %s by %q", digest, author(t, config), test.digest.Digest, test.author)
			}
			requests := s.Requests().Total - before.Total
			if requests > 3 || !IsIndex(test.digest) && requests > 2 {
				t.Errorf("it took %d requests", requests)
			}
		})
	}

	s390x := ocispec.Platform{OS: "linux", Architecture: "s390x"}
	for _, test := range []struct {
		name string
		want []string
	}{
		{host + "/base:multi", []string{"no image for linux/s390x", "only for linux/amd64, linux/arm/v6, linux/arm/v7"}},
		{host + "/base:absent", []string{"not found"}},
		{host + "/nobody:x", []string{"not found"}},
		{host + "/Base", []string{"lowercase"}},
		{"oci:dir", []string{"resolve base image oci:dir"}},
	} {
		_, _, err := s.ResolveImage(t.Context(), test.name, s390x)
		wantError(t, err, append(test.want, "resolve base image "+test.name)...)
	}
}

func TestResolveDockerImage(t *testing.T) {
	host := startRegistry(t)
	s := newSession(t, Options{})
	repo := repository(t, s, host+"/base")
	config, err := json.Marshal(ocispec.Image{Author: "docker", Platform: linux})
	check(t, err)
	blob := NewBlob("application/vnd.docker.container.image.v1+json", config)
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaTypeDockerManifest, Config: blob.Descriptor, Layers: []ocispec.Descriptor{},
	})
	check(t, err)
	child, err := Pack(t.Context(), repo, mediaTypeDockerManifest, raw, blob)
	check(t, err)
	check(t, repo.Tag(t.Context(), child, "single"))
	listed := child
	listed.Platform = &linux
	raw, err = json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaTypeDockerIndex, Manifests: []ocispec.Descriptor{listed},
	})
	check(t, err)
	list, err := Pack(t.Context(), repo, mediaTypeDockerIndex, raw)
	check(t, err)
	check(t, repo.Tag(t.Context(), list, "list"))

	for tag, want := range map[string]ocispec.Descriptor{"single": child, "list": list} {
		digest, config, err := s.ResolveImage(t.Context(), host+"/base:"+tag, linux)
		check(t, err)
		if digest != want.Digest || author(t, config) != "docker" {
			t.Errorf("%s is %s by %q, want %s", tag, digest, author(t, config), want.Digest)
		}
	}
	// Both can be read and copied like OCI's.
	other := repository(t, s, "oci:"+t.TempDir())
	check(t, Copy(t.Context(), repo, other, list, nil))
	if _, got, _, err := ReadImage(t.Context(), other, child); err != nil || author(t, got) != "docker" {
		t.Errorf("the copy reads %s, %v", got, err)
	}
}

func TestParseMirrors(t *testing.T) {
	got, err := parseMirrors([]string{"mirror.example", "https://mirror.example:5000/", "http://127.0.0.1:5000/docker/hub"})
	check(t, err)
	want := []mirror{
		{"", "mirror.example", ""}, {"https", "mirror.example:5000", ""}, {"http", "127.0.0.1:5000", "docker/hub"},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	for _, bad := range []string{"", "http://", "ftp://mirror.example", "mirror.example/UPPER", "mirror.example?x", "a b", "http://" + testUser + ":" + testPassword + "@mirror.example"} {
		_, err := NewSession(Options{Mirrors: []string{bad}})
		wantError(t, err, "invalid registry mirror", "HOST[:PORT]")
	}
}

func TestMirrors(t *testing.T) {
	hub, first, second := startRegistry(t), startRegistry(t), startRegistry(t)
	push := func(host, name, author string) {
		repo := repository(t, newSession(t, Options{}), host+"/"+name)
		check(t, repo.Tag(t.Context(), pushImage(t, repo, author, linux), "latest"))
	}
	push(first, "library/both", "first")
	push(second, "hub/library/both", "second")
	push(second, "hub/library/node", "second")
	push(second, "hub/me/app", "second")
	push(hub, "library/node", "hub")
	push(hub, "library/rare", "hub")
	push(first, "library/local", "first")

	transport := &recorder{redirect: map[string]string{dockerHubHost: hub}}
	s := newSession(t, Options{Transport: transport, Mirrors: []string{first, "http://" + second + "/hub"}})
	for _, test := range []struct{ name, author string }{
		{"both", "first"},
		{"node", "second"},
		{"docker.io/library/node:latest", "second"},
		{"me/app", "second"},
		{"rare", "hub"},
		{"docker.io/rare", "hub"},
	} {
		_, config, err := s.ResolveImage(t.Context(), test.name, linux)
		check(t, err)
		if got := author(t, config); got != test.author {
			t.Errorf("%s is from %q, want %q", test.name, got, test.author)
		}
	}
	_, _, err := s.ResolveImage(t.Context(), "nowhere", linux)
	wantError(t, err, "resolve base image nowhere", "ask mirror "+first, "ask mirror "+second, "ask docker.io", "not found")
	if !IsNotFound(err) {
		t.Errorf("%v is not taken for not found", err)
	}

	// Mirrors are docker.io's alone.
	transport.take()
	_, _, err = s.ResolveImage(t.Context(), hub+"/library/absent", linux)
	wantError(t, err, "not found")
	if n := len(transport.take()); n != 1 {
		t.Errorf("an image of another registry took %d requests", n)
	}

	got := s.Mirrors(t.Context())
	if len(got) != 2 || got[0] != (Mirror{Host: first, PlainHTTP: true}) || got[1] != (Mirror{Host: second, Prefix: "hub", PlainHTTP: true}) {
		t.Errorf("Mirrors is %+v", got)
	}
	secure := newSession(t, Options{Mirrors: []string{"https://" + first, "mirror.example"}, SkipTLSVerify: true}).Mirrors(t.Context())
	if secure[0].PlainHTTP || secure[1].PlainHTTP || !secure[0].SkipVerify {
		t.Errorf("Mirrors is %+v", secure)
	}
}

// A mirror that is down does not matter while docker.io answers.
func TestMirrorIsDown(t *testing.T) {
	hub := startRegistry(t)
	repo := repository(t, newSession(t, Options{}), hub+"/library/node")
	check(t, repo.Tag(t.Context(), pushImage(t, repo, "hub", linux), "latest"))
	s := newSession(t, Options{Transport: &recorder{redirect: map[string]string{dockerHubHost: hub}}, Mirrors: []string{"http://127.0.0.1:1"}})
	_, config, err := s.ResolveImage(t.Context(), "node", linux)
	check(t, err)
	if author(t, config) != "hub" {
		t.Errorf("config is %s", config)
	}
	_, _, err = s.ResolveImage(t.Context(), "absent", linux)
	wantError(t, err, "ask mirror 127.0.0.1:1", "connection refused", "ask docker.io", "not found")
}

func TestChooseDamagedIndex(t *testing.T) {
	for in, want := range map[string]string{
		"{": "index:", `{"manifests":[{}]}`: "no image with a platform", "null": "no image with a platform",
	} {
		_, err := choose([]byte(in), linux)
		wantError(t, err, want)
	}
	if sniffManifest([]byte(strings.Repeat(" ", MaxManifestSize+1))) != "" {
		t.Error("content beyond the limit is taken for a manifest")
	}
}
