package oci

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var arm = ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}

// wantCopied checks that all of an index is in repo.
func wantCopied(t *testing.T, repo Repository, root ocispec.Descriptor) {
	t.Helper()
	raw, err := readAll(t.Context(), repo, root)
	check(t, err)
	for _, platform := range []ocispec.Platform{linux, arm} {
		child, err := choose(raw, platform)
		check(t, err)
		manifest, _, _, err := ReadImage(t.Context(), repo, child)
		check(t, err)
		exists, err := repo.Exists(t.Context(), manifest.Layers[0])
		check(t, err)
		if !exists {
			t.Errorf("layer %s is missing", manifest.Layers[0].Digest)
		}
	}
}

func TestCopyBetweenAllKinds(t *testing.T) {
	places := map[string]func(t *testing.T) string{
		"registry": func(t *testing.T) string { return startRegistry(t) + "/some/repo" },
		"layout":   func(t *testing.T) string { return "oci:" + t.TempDir() },
	}
	for fromName, from := range places {
		for toName, to := range places {
			t.Run(fromName+" to "+toName, func(t *testing.T) {
				s := newSession(t, Options{})
				src, dst := repository(t, s, from(t)), repository(t, s, to(t))
				root := pushIndex(t, src, "multi", linux, arm)
				var last, total int64
				check(t, Copy(t.Context(), src, dst, root, func(done, all int64) {
					if done < last {
						t.Errorf("progress went back from %d to %d", last, done)
					}
					last, total = done, all
				}))
				if last != total || total < root.Size {
					t.Errorf("progress ended at %d of %d", last, total)
				}
				wantCopied(t, dst, root)
			})
		}
	}
}

func TestCopyMounts(t *testing.T) {
	transport := &recorder{}
	s := newSession(t, Options{Transport: transport})
	host := startRegistry(t, new(bearer).wrap)
	src, dst := repository(t, s, host+"/src"), repository(t, s, host+"/dst/deep")
	root := pushIndex(t, src, "multi", linux, arm)
	transport.take()
	check(t, Copy(t.Context(), src, dst, root, nil))
	if transport.upload != 0 {
		t.Errorf("%d bytes of blobs were uploaded within one registry", transport.upload)
	}
	wantCopied(t, dst, root)

	// Again, it is one HEAD.
	transport.take()
	check(t, Copy(t.Context(), src, dst, root, nil))
	if got, want := transport.take(), []string{"HEAD /v2/dst/deep/manifests/" + root.Digest.String()}; !slices.Equal(got, want) {
		t.Errorf("copying what exists sent %q, want %q", got, want)
	}
}

// Registries that cannot mount, or refuse to, are sent the content, and no
// upload that the attempt opened stays open.
func TestCopyWithoutMount(t *testing.T) {
	for name, wrap := range map[string]middleware{
		"cannot": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("mount") {
					r.URL.RawQuery = "" // answered with 202 and an upload
				}
				next.ServeHTTP(w, r)
			})
		},
		"refuses": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("mount") {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				next.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &recorder{}
			s := newSession(t, Options{Transport: transport})
			host := startRegistry(t, wrap)
			src, dst := repository(t, s, host+"/src"), repository(t, s, host+"/dst")
			root := pushIndex(t, src, "multi", linux, arm)
			transport.take()
			check(t, Copy(t.Context(), src, dst, root, nil))
			wantCopied(t, dst, root)
			opened, closed := 0, 0
			for _, request := range transport.take() {
				switch {
				case name == "refuses" && strings.Contains(request, "mount="):
				case strings.HasPrefix(request, "POST"):
					opened++
				case strings.HasPrefix(request, "PUT /v2/dst/blobs/uploads/"):
					closed++
				}
			}
			if opened != 4 || closed != opened {
				t.Errorf("%d uploads were opened and %d finished, want 4 of both", opened, closed)
			}
		})
	}
}

func TestCopySkipsWhatExists(t *testing.T) {
	transport := &recorder{}
	s := newSession(t, Options{Transport: transport})
	src, dst := repository(t, s, startRegistry(t)+"/a"), repository(t, s, startRegistry(t)+"/a")
	root := pushIndex(t, src, "multi", linux, arm)
	_, blobs := testImage("multi linuxamd64", linux)
	for _, blob := range blobs {
		check(t, dst.Push(t.Context(), blob.Descriptor, reader(string(blob.Data))))
	}
	transport.take()
	check(t, Copy(t.Context(), src, dst, root, nil))
	wantCopied(t, dst, root)
	uploads := 0
	for _, request := range transport.take() {
		if strings.HasPrefix(request, "POST") {
			uploads++
		}
	}
	if uploads != 2 {
		t.Errorf("%d blobs were uploaded, want the 2 that were missing", uploads)
	}
}

func TestCopyErrors(t *testing.T) {
	s := newSession(t, Options{})
	src := repository(t, s, startRegistry(t)+"/a")
	dst := repository(t, s, "oci:"+t.TempDir())
	manifest, _ := testImage("absent", linux)
	absent := NewBlob(ocispec.MediaTypeImageManifest, manifest).Descriptor
	err := Copy(t.Context(), src, dst, absent, nil)
	wantError(t, err, "copy "+src.Reference().Name()+"@"+absent.Digest.String(), "to "+dst.Reference().Name(), "fetch", "not found")
	if !IsNotFound(err) {
		t.Errorf("%v is not taken for not found", err)
	}

	root := pushImage(t, src, "x", linux)
	closed := repository(t, s, serve(t, newHandler(t, htpasswd(t)))+"/b")
	err = Copy(t.Context(), src, closed, root, nil)
	wantError(t, err, "copy ", "slipway cr login")
	if !IsDenied(err) || strings.Count(err.Error(), "slipway cr login") != 1 {
		t.Errorf("advice is not given once: %v", err)
	}
}
