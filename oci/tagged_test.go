package oci

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestReadAndWriteTag(t *testing.T) {
	bothKinds(t, func(t *testing.T, repo Repository) {
		if _, _, found, err := ReadTag(t.Context(), repo, "v1"); found || err != nil {
			t.Errorf("an empty repository: found %t, %v", found, err)
		}
		for _, name := range []string{"one", "two"} { // the second moves the tag
			raw, blobs := testImage(name, linux)
			for _, blob := range blobs {
				check(t, repo.Push(t.Context(), blob.Descriptor, reader(string(blob.Data))))
			}
			check(t, WriteTag(t.Context(), repo, ocispec.MediaTypeImageManifest, raw, "v1"))
			desc, got, found, err := ReadTag(t.Context(), repo, "v1")
			check(t, err)
			if !found || string(got) != string(raw) || !same(desc, NewBlob(ocispec.MediaTypeImageManifest, raw).Descriptor) {
				t.Errorf("read %+v %s, found %t", desc, got, found)
			}
		}
		if err := WriteTag(t.Context(), repo, ocispec.MediaTypeImageManifest, nil, "no tag"); err == nil {
			t.Error("a tag that is none was written")
		}
	})
}

func TestTagCost(t *testing.T) {
	transport := &recorder{}
	repo := repository(t, newSession(t, Options{Transport: transport}), startRegistry(t)+"/a")
	index := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
	check(t, WriteTag(t.Context(), repo, ocispec.MediaTypeImageIndex, index, "v1"))
	_, _, _, err := ReadTag(t.Context(), repo, "v1")
	check(t, err)
	if requests := transport.take(); !slices.Equal(requests, []string{"PUT /v2/a/manifests/v1", "GET /v2/a/manifests/v1"}) {
		t.Errorf("sent %q", requests)
	}
}

// What a registry serves need not be what it says.
func TestReadTagRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		body, digest string
		status       int
		want         string
	}{
		"other content": {"{}", someDigest.String(), http.StatusOK, "digest"},
		"too large":     {strings.Repeat(" ", MaxManifestSize+1), someDigest.String(), http.StatusOK, "more than"},
		"broken":        {"{}", "", http.StatusNotImplemented, "501"},
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				w.Header().Set("Content-Length", strconv.Itoa(len(test.body)))
				if test.digest != "" {
					w.Header().Set("Docker-Content-Digest", test.digest)
				}
				w.WriteHeader(test.status)
				w.Write([]byte(test.body)) //nolint:errcheck // the client may have gone
			}))
			repo := repository(t, newSession(t, Options{}), host+"/a")
			_, _, found, err := ReadTag(t.Context(), repo, "v1")
			if found {
				t.Error("it is taken for good")
			}
			wantError(t, err, "read "+host+"/a:v1", test.want)
		})
	}
}
