package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What docs/registries.md says of registries is what they do: each row of its
// table is tried on each registry, and the cell has to hold the answer. Package
// oci relies on the rows, so a registry that changes is noticed here first.
func TestBehaviourTable(t *testing.T) {
	registries := map[string]http.Handler{
		"distribution":         newHandler(t),
		"go-containerregistry": ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))),
	}
	const doc = "../docs/registries.md"
	columns, rows := behaviourTable(t, doc)
	if len(columns) != len(registries) {
		t.Fatalf("%s has the registries %q, tried are %d", doc, columns, len(registries))
	}
	for i, column := range columns {
		name, _, _ := strings.Cut(column, " ")
		handler := registries[name]
		if handler == nil {
			t.Fatalf("%s has a column %q, which is not tried", doc, column)
		}
		host := serve(t, handler)
		tried := map[string]bool{}
		for _, b := range behaviours {
			t.Run(name+"/"+b.name, func(t *testing.T) {
				cells, ok := rows[b.name]
				if !ok {
					t.Fatalf("%s has no row %q", doc, b.name)
				}
				if got := b.try(&rawRegistry{t, "http://" + host}); got != cells[i] {
					t.Errorf("the registry's answer is %q, %s says %q", got, doc, cells[i])
				}
			})
			tried[b.name] = true
		}
		for row := range rows {
			if !tried[row] {
				t.Errorf("%s has a row %q, which nothing tries", doc, row)
			}
		}
	}
}

// behaviourTable reads the first table of a document: its columns but the first,
// and each row's cells by the row's name.
func behaviourTable(t *testing.T, name string) (columns []string, rows map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(name)
	check(t, err)
	rows = map[string][]string{}
	for line := range strings.Lines(string(data)) {
		line, isRow := strings.CutPrefix(strings.TrimSpace(line), "|")
		if !isRow {
			if columns != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil:
			columns = cells[1:]
		case !strings.HasPrefix(cells[0], "-"):
			rows[cells[0]] = cells[1:]
		}
	}
	return columns, rows
}

var behaviours = []struct {
	name string
	try  func(r *rawRegistry) string
}{
	{"HEAD of a tag that is not there", func(r *rawRegistry) string {
		return r.status("HEAD", "head/manifests/none", nil)
	}},
	{"HEAD of a tag tells the digest", func(r *rawRegistry) string {
		d := r.image("told", "one", "v1")
		return yes(r.do("HEAD", "told/manifests/v1", nil).Header.Get("Docker-Content-Digest") == d.String())
	}},
	{"mount of a blob, `?mount=&from=`", func(r *rawRegistry) string {
		blob := r.blob("mount-from", "a blob")
		return r.status("POST", "mount-to/blobs/uploads/?mount="+blob.String()+"&from=mount-from", nil)
	}},
	{"mount of a blob that is not there", func(r *rawRegistry) string {
		return r.status("POST", "mount-no/blobs/uploads/?mount="+digest.FromString("no blob").String()+"&from=mount-from", nil)
	}},
	{"mount without `from`", func(r *rawRegistry) string {
		blob := r.blob("mount-from", "another blob")
		return r.status("POST", "mount-any/blobs/uploads/?mount="+blob.String(), nil)
	}},
	{"referrers of a manifest", func(r *rawRegistry) string {
		return r.status("GET", "referrers/referrers/"+r.image("referrers", "subject", "v1").String(), nil)
	}},
	{"`If-None-Match: *` on PUT of a tag that is there", func(r *rawRegistry) string {
		r.image("guarded", "one", "v1")
		manifest := r.manifest("guarded", "two")
		code := r.do("PUT", "guarded/manifests/v1", manifest, "If-None-Match", "*").StatusCode
		moved := r.do("HEAD", "guarded/manifests/v1", nil).Header.Get("Docker-Content-Digest") == digest.FromBytes(manifest).String()
		return fmt.Sprintf("%d, moved: %s", code, yes(moved))
	}},
	{"a manifest whose blob is missing", func(r *rawRegistry) string {
		manifest, _ := testImage("no blobs", linux)
		return r.status("PUT", "incomplete/manifests/v1", manifest)
	}},
	{"an index whose child is missing", func(r *rawRegistry) string {
		manifest, _ := testImage("no child", linux)
		index, err := json.Marshal(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
			Manifests: []ocispec.Descriptor{NewBlob(ocispec.MediaTypeImageManifest, manifest).Descriptor},
		})
		check(r.t, err)
		return fmt.Sprint(r.do("PUT", "childless/manifests/v1", index, "Content-Type", ocispec.MediaTypeImageIndex).StatusCode)
	}},
	{"the digest that a tag was moved away from", func(r *rawRegistry) string {
		old := r.image("moved", "one", "v1")
		r.image("moved", "two", "v1")
		return r.status("HEAD", "moved/manifests/"+old.String(), nil)
	}},
	{"16 writers of one tag: manifests that stay", func(r *rawRegistry) string {
		const writers = 16
		var manifests [writers][]byte
		for i := range manifests {
			manifests[i] = r.manifest("writers", fmt.Sprint("writer ", i))
		}
		var all sync.WaitGroup
		for _, manifest := range manifests {
			all.Go(func() { r.do("PUT", "writers/manifests/v1", manifest) })
		}
		all.Wait()
		stay := 0
		for _, manifest := range manifests {
			if r.do("HEAD", "writers/manifests/"+digest.FromBytes(manifest).String(), nil).StatusCode == http.StatusOK {
				stay++
			}
		}
		return fmt.Sprint(stay)
	}},
	{"a manifest larger than 4 MiB", func(r *rawRegistry) string {
		var manifest map[string]any
		check(r.t, json.Unmarshal(r.manifest("large", "one"), &manifest))
		manifest["annotations"] = map[string]string{"filler": strings.Repeat("x", 5<<20)}
		raw, err := json.Marshal(manifest)
		check(r.t, err)
		return r.status("PUT", "large/manifests/v1", raw)
	}},
	{"tags in pages, `?n=`", func(r *rawRegistry) string {
		for i := range 3 {
			r.image("pages", "one", fmt.Sprint("v", i))
		}
		return yes(strings.Contains(r.do("GET", "pages/tags/list?n=2", nil).Header.Get("Link"), `rel="next"`))
	}},
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// rawRegistry is a registry without this package's help.
type rawRegistry struct {
	t   *testing.T
	url string
}

// do makes a request below /v2/. What is sent is a manifest of an image, unless
// headers, given as name, value, …, say otherwise. The answer's body is dropped.
func (r *rawRegistry) do(method, path string, body []byte, headers ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+"/v2/"+path, bytes.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return &http.Response{}
	}
	if method == http.MethodPut {
		req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageManifest+", "+ocispec.MediaTypeImageIndex)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return &http.Response{}
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

func (r *rawRegistry) status(method, path string, body []byte) string {
	r.t.Helper()
	return fmt.Sprint(r.do(method, path, body).StatusCode)
}

// blob uploads a blob in one piece.
func (r *rawRegistry) blob(repository, text string) digest.Digest {
	r.t.Helper()
	d := digest.FromString(text)
	place := r.do("POST", repository+"/blobs/uploads/", nil).Header.Get("Location")
	place = strings.TrimPrefix(strings.TrimPrefix(place, r.url), "/v2/")
	join := "?"
	if strings.Contains(place, "?") {
		join = "&"
	}
	if code := r.do("PUT", place+join+"digest="+d.String(), []byte(text), "Content-Type", "application/octet-stream").StatusCode; code != http.StatusCreated {
		r.t.Fatalf("uploading a blob to %s: %d", repository, code)
	}
	return d
}

// manifest is an image whose blobs have been uploaded.
func (r *rawRegistry) manifest(repository, name string) []byte {
	r.t.Helper()
	manifest, blobs := testImage(name, linux)
	for _, b := range blobs {
		r.blob(repository, string(b.Data))
	}
	return manifest
}

// image pushes an image and gives it a tag.
func (r *rawRegistry) image(repository, name, tag string) digest.Digest {
	r.t.Helper()
	manifest := r.manifest(repository, name)
	if code := r.do("PUT", repository+"/manifests/"+tag, manifest).StatusCode; code != http.StatusCreated {
		r.t.Fatalf("pushing %s:%s: %d", repository, tag, code)
	}
	return digest.FromBytes(manifest)
}
