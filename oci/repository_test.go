package oci

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// bothKinds runs a test against an empty registry and an empty layout.
func bothKinds(t *testing.T, test func(t *testing.T, repo Repository)) {
	t.Run("registry", func(t *testing.T) {
		test(t, repository(t, newSession(t, Options{}), startRegistry(t)+"/project/app"))
	})
	t.Run("layout", func(t *testing.T) {
		test(t, repository(t, newSession(t, Options{}), "oci:"+t.TempDir()+"/deep/er"))
	})
}

func TestRepositoryRoundTrip(t *testing.T) {
	bothKinds(t, func(t *testing.T, repo Repository) {
		ctx := t.Context()
		if _, found, err := Lookup(ctx, repo, "v1"); found || err != nil {
			t.Errorf("an empty repository: found %t, %v", found, err)
		}
		desc := pushImage(t, repo, "x", linux)
		check(t, repo.Push(ctx, desc, reader(string(first(testImage("x", linux)))))) // again
		byDigest, err := repo.Resolve(ctx, desc.Digest.String())
		check(t, err)
		if !same(byDigest, desc) {
			t.Errorf("by digest it is %+v, want %+v", byDigest, desc)
		}
		check(t, repo.Tag(ctx, desc, "v1"))
		byTag, found, err := Lookup(ctx, repo, "v1")
		check(t, err)
		if !found || !same(byTag, desc) {
			t.Errorf("by tag it is %+v, want %+v", byTag, desc)
		}
		manifest, config, raw, err := ReadImage(ctx, repo, byTag)
		check(t, err)
		wantRaw, wantBlobs := testImage("x", linux)
		if string(raw) != string(wantRaw) || string(config) != string(wantBlobs[0].Data) || manifest.Layers[0].Digest != wantBlobs[1].Descriptor.Digest {
			t.Errorf("read back %s, %s", raw, config)
		}
		_, err = repo.Resolve(ctx, someDigest.String())
		if !IsNotFound(err) {
			t.Errorf("an unknown digest: %v", err)
		}
		_, err = repo.Fetch(ctx, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: someDigest})
		if !IsNotFound(err) || IsDenied(err) || IsUnreachable(err) {
			t.Errorf("an unknown blob: %v", err)
		}
		if repo.Reference().Tag != "" || repo.Reference().Name() != repo.Reference().String() {
			t.Errorf("Reference is %s", repo.Reference())
		}
	})
}

func first[A, B any](a A, _ B) A { return a }

func TestPushWrongContent(t *testing.T) {
	bothKinds(t, func(t *testing.T, repo Repository) {
		blob := NewBlob(ocispec.MediaTypeImageLayer, []byte("right"))
		err := repo.Push(t.Context(), blob.Descriptor, reader("wrong"))
		wantError(t, err, "push "+repo.Reference().Name())
		if exists, err := repo.Exists(t.Context(), blob.Descriptor); exists || err != nil {
			t.Errorf("wrong content was kept: %t, %v", exists, err)
		}
	})
}

func TestPackCost(t *testing.T) {
	transport := &recorder{}
	repo := repository(t, newSession(t, Options{Transport: transport}), startRegistry(t)+"/a")
	desc := pushImage(t, repo, "x", linux)
	transport.take()
	pushImage(t, repo, "x", linux)
	if got, want := transport.take(), []string{"HEAD /v2/a/manifests/" + desc.Digest.String()}; !slices.Equal(got, want) {
		t.Errorf("packing what exists sent %q, want %q", got, want)
	}
	// A new manifest of old blobs sends the manifest only.
	manifest, blobs := testImage("x", linux)
	var m ocispec.Manifest
	check(t, json.Unmarshal(manifest, &m))
	m.Annotations = map[string]string{"new": "yes"}
	manifest, err := json.Marshal(m)
	check(t, err)
	_, err = Pack(t.Context(), repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
	check(t, err)
	for _, request := range transport.take() {
		if strings.HasPrefix(request, "POST") {
			t.Errorf("a blob that exists was uploaded: %s", request)
		}
	}
}

func TestResolveWithoutDigestHeader(t *testing.T) {
	transport := &recorder{}
	host := startRegistry(t, withoutHeader("Docker-Content-Digest"))
	repo := repository(t, newSession(t, Options{Transport: transport}), host+"/a")
	want := pushImage(t, repo, "x", linux)
	check(t, repo.Tag(t.Context(), want, "v1"))
	transport.take()
	got, found, err := Lookup(t.Context(), repo, "v1")
	check(t, err)
	if !found || !same(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if requests := transport.take(); !slices.Equal(requests, []string{"HEAD /v2/a/manifests/v1", "GET /v2/a/manifests/v1"}) {
		t.Errorf("sent %q", requests)
	}
	if _, found, err := Lookup(t.Context(), repo, "v2"); found || err != nil {
		t.Errorf("an absent tag: found %t, %v", found, err)
	}
}

func TestReadImageRefuses(t *testing.T) {
	bothKinds(t, func(t *testing.T, repo Repository) {
		index := pushIndex(t, repo, "multi", linux)
		_, _, _, err := ReadImage(t.Context(), repo, index)
		wantError(t, err, "read image "+repo.Reference().Name(), "no image manifest")
		if !IsIndex(index) {
			t.Error("an index is not taken for one")
		}
		huge := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: someDigest, Size: MaxManifestSize + 1}
		_, _, _, err = ReadImage(t.Context(), repo, huge)
		wantError(t, err, "more than")
	})
}

func TestDenied(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(t *testing.T) (host, docker string)
		want  []string
	}{
		{"basic, no credentials", func(t *testing.T) (string, string) {
			return serve(t, newHandler(t, htpasswd(t))), ""
		}, []string{"user name and a password", "there are no credentials", "slipway cr login 127.0.0.1:"}},
		{"basic, wrong credentials", func(t *testing.T) (string, string) {
			host := serve(t, newHandler(t, htpasswd(t)))
			return host, login(t, "somebody", testPassword, host)
		}, []string{"401 Unauthorized", "were used", "slipway cr login 127.0.0.1:"}},
		{"bearer, no right to push", func(t *testing.T) (string, string) {
			host := startRegistry(t, (&bearer{denied: "a"}).wrap)
			return host, login(t, testUser, testPassword, host)
		}, []string{"401 Unauthorized", "authentication required", "were used", "slipway cr login 127.0.0.1:"}},
		{"no auth, forbidden", func(t *testing.T) (string, string) {
			return startRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isWrite(r.Method) {
						w.WriteHeader(http.StatusForbidden)
						io.WriteString(w, `{"errors":[{"code":"DENIED","message":"read only"}]}`)
						return
					}
					next.ServeHTTP(w, r)
				})
			}), ""
		}, []string{"403 Forbidden", "denied: read only", "did not ask for credentials"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			host, docker := test.start(t)
			repo := repository(t, newSession(t, Options{DockerConfig: docker}), host+"/a")
			blob := NewBlob(ocispec.MediaTypeImageLayer, []byte("x"))
			err := repo.Push(t.Context(), blob.Descriptor, reader("x"))
			wantError(t, err, append(test.want, "push "+host+"/a@"+string(digest.FromString("x")))...)
			if !IsDenied(err) || IsNotFound(err) || IsUnreachable(err) {
				t.Errorf("%v is taken for something else", err)
			}
		})
	}
}

func TestDamagedDockerConfig(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/config.json", "{")
	open := repository(t, newSession(t, Options{DockerConfig: dir}), startRegistry(t)+"/a")
	lookups(t, 1, open) // nobody asks for credentials, so the file does not matter
	closed := repository(t, newSession(t, Options{DockerConfig: dir}), serve(t, newHandler(t, htpasswd(t)))+"/a")
	_, _, err := Lookup(t.Context(), closed, "x")
	wantError(t, err, "reading the Docker configuration", dir)
}

func TestDockerConfigFromEnvironment(t *testing.T) {
	host := serve(t, newHandler(t, htpasswd(t)))
	t.Setenv("DOCKER_CONFIG", login(t, testUser, testPassword, host))
	s, err := NewSession(Options{})
	check(t, err)
	lookups(t, 1, repository(t, s, host+"/a"))
}

func TestCredential(t *testing.T) {
	s := newSession(t, Options{DockerConfig: login(t, testUser, testPassword, "example.org", "https://index.docker.io/v1/")})
	for host, want := range map[string]string{
		"example.org": testUser, "docker.io": testUser, "registry-1.docker.io": testUser, "example.com": "",
	} {
		got, err := s.Credential(t.Context(), host)
		check(t, err)
		if got.Username != want {
			t.Errorf("the user for %s is %q, want %q", host, got.Username, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`Get "https://u:p@host/v2/a?sig=SECRET": EOF`:  `Get "https://host/v2/a": EOF`,
		`Put "http://host/v2/a/uploads/1?_state=S": x`: `Put "http://host/v2/a/uploads/1": x`,
		"no address here?": "no address here?",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) is %q, want %q", in, got, want)
		}
	}
}
