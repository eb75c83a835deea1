package oci

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the registry's log
	os.Exit(m.Run())
}

// testUser and testPassword are in every htpasswd registry.
const (
	testUser     = "user"
	testPassword = "secret-password"
	testHtpasswd = testUser + ":$2y$04$abcdefghijklmnopqrstuuq8DwlpszTVmH1ckl/VPV38Vwtq3col2\n"
)

// middleware stands between the server and distribution's handler.
type middleware func(next http.Handler) http.Handler

// newHandler is distribution's own registry, empty, in memory.
func newHandler(t *testing.T, edit ...func(*configuration.Configuration)) http.Handler {
	t.Helper()
	config := &configuration.Configuration{Storage: configuration.Storage{
		"inmemory":    configuration.Parameters{},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
	}}
	config.HTTP.Secret = "test"
	for _, f := range edit {
		f(config)
	}
	return handlers.NewApp(context.Background(), config)
}

// startRegistry serves a registry on loopback and returns HOST:PORT.
func startRegistry(t *testing.T, wrap ...middleware) string {
	t.Helper()
	return serve(t, newHandler(t), wrap...)
}

func serve(t *testing.T, handler http.Handler, wrap ...middleware) string {
	t.Helper()
	for _, w := range wrap {
		handler = w(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func htpasswd(t *testing.T) func(*configuration.Configuration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	writeFile(t, path, testHtpasswd)
	return func(c *configuration.Configuration) {
		c.Auth = configuration.Auth{"htpasswd": configuration.Parameters{"realm": "test", "path": path}}
	}
}

// login makes a Docker configuration with credentials for hosts.
func login(t *testing.T, user, password string, hosts ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	auths := map[string]any{}
	for _, host := range hosts {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	}
	raw, err := json.Marshal(map[string]any{"auths": auths})
	check(t, err)
	writeFile(t, filepath.Join(dir, "config.json"), string(raw))
	return dir
}

// recorder is a transport that notes what goes through it.
type recorder struct {
	mu       sync.Mutex
	requests []string // "METHOD /path?query"
	before   func(*http.Request)
	redirect map[string]string // host -> HOST:PORT on loopback, by plain HTTP
	upload   int64             // bytes of request bodies, but for manifests
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+req.URL.RequestURI())
	if strings.Contains(req.URL.Path, "/blobs/") && req.ContentLength > 0 {
		r.upload += req.ContentLength
	}
	target := r.redirect[req.URL.Host]
	r.mu.Unlock()
	if r.before != nil {
		r.before(req)
	}
	if target == "" {
		return http.DefaultTransport.RoundTrip(req)
	}
	redirected := req.Clone(req.Context())
	redirected.URL.Scheme, redirected.URL.Host = "http", target
	resp, err := http.DefaultTransport.RoundTrip(redirected)
	if resp != nil {
		resp.Request = req // who is asked gets no credentials if it seems to be another
	}
	return resp, err
}

// take returns the requests since the last take, and forgets them.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests, r.upload = nil, 0
	return taken
}

// newSession never sees the Docker configuration of whoever runs the tests.
func newSession(t *testing.T, o Options) *Session {
	t.Helper()
	if o.DockerConfig == "" {
		o.DockerConfig = t.TempDir()
	}
	s, err := NewSession(o)
	check(t, err)
	return s
}

func repository(t *testing.T, s *Session, name string) Repository {
	t.Helper()
	ref, err := ParseReference(name)
	check(t, err)
	repo, err := s.Repository(ref)
	check(t, err)
	return repo
}

var linux = ocispec.Platform{OS: "linux", Architecture: "amd64"}

// testImage is a manifest with a config and one layer, all told apart by name.
func testImage(name string, platform ocispec.Platform) (manifest []byte, blobs []Blob) {
	var layer bytes.Buffer
	w := gzip.NewWriter(&layer)
	io.WriteString(w, "layer of "+name)
	w.Close()
	config, _ := json.Marshal(ocispec.Image{Author: name, Platform: platform})
	blobs = []Blob{
		NewBlob(ocispec.MediaTypeImageConfig, config),
		NewBlob(ocispec.MediaTypeImageLayerGzip, layer.Bytes()),
	}
	manifest, _ = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    blobs[0].Descriptor,
		Layers:    []ocispec.Descriptor{blobs[1].Descriptor},
	})
	return manifest, blobs
}

func pushImage(t *testing.T, repo Repository, name string, platform ocispec.Platform) ocispec.Descriptor {
	t.Helper()
	manifest, blobs := testImage(name, platform)
	desc, err := Pack(t.Context(), repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
	check(t, err)
	return desc
}

// pushIndex pushes an image per platform and an index of them.
func pushIndex(t *testing.T, repo Repository, name string, list ...ocispec.Platform) ocispec.Descriptor {
	t.Helper()
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, platform := range list {
		child := pushImage(t, repo, name+" "+platform.OS+platform.Architecture+platform.Variant, platform)
		child.Platform = &platform
		index.Manifests = append(index.Manifests, child)
	}
	raw, err := json.Marshal(index)
	check(t, err)
	desc, err := Pack(t.Context(), repo, ocispec.MediaTypeImageIndex, raw)
	check(t, err)
	return desc
}

// bearer asks for a token whose scopes cover the request, and hands out any.
type bearer struct {
	tokens  int
	denied  string // a repository for which push is never granted
	revoked int    // the first tokens, which are refused
	mu      sync.Mutex
}

func (b *bearer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			b.mu.Lock()
			b.tokens++
			n := b.tokens
			b.mu.Unlock()
			scopes := strings.Join(r.URL.Query()["scope"], " ")
			if b.denied != "" {
				scopes = strings.ReplaceAll(scopes, b.denied+":pull,push", b.denied+":pull")
			}
			fmt.Fprintf(w, `{"token":"%d.%s","expires_in":300}`, n, base64.RawURLEncoding.EncodeToString([]byte(scopes)))
			return
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
		name, _, _ = strings.Cut(name, "/blobs/")
		want := []string{"pull"}
		if isWrite(r.Method) {
			want = append(want, "push")
		}
		number, encoded, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		token, _ := base64.RawURLEncoding.DecodeString(encoded)
		b.mu.Lock()
		n, _ := strconv.Atoi(number)
		revoked := n <= b.revoked
		b.mu.Unlock()
		if revoked || !covers(string(token), name, want) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:%s:%s"`,
				r.Host, name, strings.Join(want, ",")))
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func covers(scopes, name string, want []string) bool {
	for scope := range strings.SplitSeq(scopes, " ") {
		if actions, ok := strings.CutPrefix(scope, "repository:"+name+":"); ok {
			have := strings.Split(actions, ",")
			return !slices.ContainsFunc(want, func(action string) bool { return !slices.Contains(have, action) })
		}
	}
	return false
}

// withoutHeader is a registry that never sends a header.
func withoutHeader(name string) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&headerFilter{w, name}, r)
		})
	}
}

type headerFilter struct {
	http.ResponseWriter
	name string
}

func (f *headerFilter) WriteHeader(status int) {
	f.Header().Del(f.name)
	f.ResponseWriter.WriteHeader(status)
}

func (f *headerFilter) Write(p []byte) (int, error) {
	f.Header().Del(f.name)
	return f.ResponseWriter.Write(p)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte(text), 0o644))
}

func reader(s string) io.Reader { return bytes.NewReader([]byte(s)) }

// wantError checks that an error says all of parts and none of the secrets.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	secret := base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
	if strings.Contains(err.Error(), testPassword) || strings.Contains(err.Error(), secret) {
		t.Errorf("error %q gives a secret away", err)
	}
}

func same(a, b ocispec.Descriptor) bool { return reflect.DeepEqual(a, b) }
