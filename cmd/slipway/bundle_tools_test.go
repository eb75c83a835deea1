package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// consumer is somebody else's machine, with the tools that people have.
type consumer struct {
	t   *testing.T
	cli *testenv.CLI
	dir string
	env []string
}

func newConsumer(t *testing.T) *consumer {
	return &consumer{t: t, cli: testenv.Slipway(t), dir: t.TempDir()}
}

func (c *consumer) run(tool string, args ...string) string {
	c.t.Helper()
	cli := *c.cli
	cli.Path = testenv.Tool(c.t, tool)
	return cli.Run(c.dir, c.env, args...).Must(c.t).Stdout
}

// render is what a consumer does that knows oci:// and a digest, as Argo CD and
// Flux do.
func (c *consumer) render(repo, digest string) string {
	c.t.Helper()
	return c.run("helm", "template", "r", "--plain-http", "oci://"+repo+"@"+digest)
}

// parts are the repositories, tags and digests of a bundle, the chart's first, all
// in one registry: "fleet", "1.0.0", "sha256:…".
func parts(t *testing.T, ref string) (all [][3]string) {
	t.Helper()
	add := func(ref, digest string) {
		parsed, err := oci.ParseReference(ref)
		if err != nil || parsed.Tag == "" {
			t.Fatalf("%s: %v", ref, err)
		}
		all = append(all, [3]string{parsed.Repository, parsed.Tag, digest})
	}
	bundle := inspect(t, ref)
	add(ref, bundle.Digest)
	for _, image := range bundle.Images {
		add(image.Ref, image.Digest)
	}
	return all
}

// Tools that know nothing of bundles copy the chart and its images, and lose
// nothing: what they are called is what they are.
func TestToolsCopyBundles(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	ref := fleet(t, registry.Host)
	all := parts(t, ref)
	want := newConsumer(t).render(registry.Host+"/fleet", all[0][2])
	if strings.Count(want, "image: ") != 3 {
		t.Fatalf("rendered:\n%s", want)
	}
	for name, copyTo := range map[string]func(c *consumer, from, to string){
		"oras": func(c *consumer, from, to string) {
			c.run("oras", "cp", "-r", "--from-plain-http", "--to-plain-http", from, to)
		},
		"crane": func(c *consumer, from, to string) { c.run("crane", "copy", from, to) },
		"skopeo": func(c *consumer, from, to string) {
			c.run("skopeo", "--insecure-policy", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", "docker://"+from, "docker://"+to)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there, c := testenv.Registry(t), newConsumer(t)
			for _, p := range all {
				at := "/" + p[0] + ":" + p[1]
				copyTo(c, registry.Host+at, there.Host+at)
				if got := there.Digest(p[0] + ":" + p[1]); got != p[2] {
					t.Errorf("%s is %s there, it was %s", at, got, p[2])
				}
			}
			if got := c.render(there.Host+"/fleet", all[0][2]); got != want {
				t.Errorf("the copy renders\n%s\nwant\n%s", got, want)
			}
			// All of every image is there, not just what one platform needs.
			for _, p := range all {
				repo := repository(t, there.Host+"/"+p[0])
				for d, desc := range everything(t, repo, p[2]) {
					if exists, err := repo.Exists(t.Context(), desc); err != nil || !exists {
						t.Errorf("%s of %s is not there: %v", d, p[0], err)
					}
				}
			}
		})
	}
}

// The layer of the chart's manifest is the archive that helm reads.
func TestToolsReadTheChart(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	ref := fleet(t, registry.Host)
	c := newConsumer(t)
	var manifest ocispec.Manifest
	if err := json.Unmarshal([]byte(c.run("oras", "manifest", "fetch", "--plain-http", ref)), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != oci.MediaTypeHelmChart || manifest.Config.MediaType != oci.MediaTypeHelmConfig {
		t.Fatalf("the manifest is %+v", manifest)
	}
	c.run("oras", "blob", "fetch", "--plain-http", "-o", "fetched.tgz", registry.Host+"/fleet@"+manifest.Layers[0].Digest.String())
	c.run("helm", "pull", "--plain-http", "oci://"+registry.Host+"/fleet", "--version", "1.0.0")
	if err := os.Mkdir(filepath.Join(c.dir, "by-digest"), 0o777); err != nil {
		t.Fatal(err)
	}
	c.run("helm", "pull", "--plain-http", "-d", "by-digest", "oci://"+registry.Host+"/fleet@"+inspect(t, ref).Digest)
	pulled, err := filepath.Glob(filepath.Join(c.dir, "by-digest", "*.tgz"))
	if err != nil || len(pulled) != 1 {
		t.Fatalf("helm pulled %v, %v", pulled, err)
	}
	fetched, err := os.ReadFile(filepath.Join(c.dir, "fetched.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(c.dir, "fleet-1.0.0.tgz"), pulled[0]} {
		if data, err := os.ReadFile(file); err != nil || string(data) != string(fetched) {
			t.Errorf("%s is not what oras fetched: %v", file, err)
		}
	}
	if out := c.run("helm", "lint", "fetched.tgz"); !strings.Contains(out, "0 chart(s) failed") {
		t.Errorf("helm lint says %s", out)
	}
}

// An archive is read by the tools that read image layouts, images and chart.
func TestToolsReadBundleArchives(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	ref := fleet(t, registry.Host)
	all := parts(t, ref)
	c := newConsumer(t)
	c.cli.Run(c.dir, nil, "bundle", "copy", "--from", ref, "--to", "archive:fleet.tar").Must(t)
	if err := os.Mkdir(filepath.Join(c.dir, "layout"), 0o777); err != nil {
		t.Fatal(err)
	}
	c.run("tar", "-xf", "fleet.tar", "-C", "layout")
	for name, push := range map[string]func(p [3]string, to string){
		"skopeo": func(p [3]string, to string) {
			c.run("skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false", "oci-archive:fleet.tar:"+p[1], "docker://"+to)
		},
		"oras": func(p [3]string, to string) {
			c.run("oras", "cp", "--from-oci-layout", "--to-plain-http", "fleet.tar:"+p[1], to)
		},
		// crane takes layouts of one image only: one index.json for each.
		"crane": func(p [3]string, to string) {
			path := filepath.Join(c.dir, "layout", ocispec.ImageIndexFile)
			raw, err := os.ReadFile(path)
			var index ocispec.Index
			if err == nil {
				err = json.Unmarshal(raw, &index)
			}
			index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.Annotations[ocispec.AnnotationRefName] != p[1] })
			one, marshalErr := json.Marshal(index)
			if err != nil || marshalErr != nil || os.WriteFile(path, one, 0o666) != nil {
				t.Fatal(err, marshalErr)
			}
			c.run("crane", "push", "layout", to)
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			there := testenv.Registry(t)
			for _, p := range all {
				push(p, there.Host+"/"+p[0]+":"+p[1])
				if got := there.Digest(p[0] + ":" + p[1]); got != p[2] {
					t.Errorf("%s:%s is %s there, it was %s", p[0], p[1], got, p[2])
				}
			}
			if rendered := c.render(there.Host+"/fleet", all[0][2]); strings.Count(rendered, "image: ") != 3 {
				t.Errorf("rendered:\n%s", rendered)
			}
		})
	}
}

// cluster is the little of Kubernetes that helm asks before it would install: what
// it is, what it has, and whether the release is there. It fails the test when
// anything would be changed.
func cluster(t *testing.T) (kubeconfig string) {
	t.Helper()
	answers := map[string]any{
		"/version": map[string]string{"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
		"/api":     map[string]any{"kind": "APIVersions", "versions": []string{"v1"}},
		"/apis":    map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}},
		"/api/v1": map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"create", "get"}},
		}},
		"/api/v1/namespaces/default/secrets": map[string]any{"kind": "SecretList", "apiVersion": "v1", "items": []any{}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("the cluster was asked to %s %s", r.Method, r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		answer, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %s}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n", server.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// helm install --dry-run=client still asks a cluster what it is.
func TestInstallDryRun(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	ref := fleet(t, registry.Host)
	c := newConsumer(t)
	c.env = []string{"KUBECONFIG=" + cluster(t)}
	out := c.run("helm", "install", "r", "--plain-http", "--dry-run=client", "--disable-openapi-validation", "oci://"+registry.Host+"/fleet", "--version", "1.0.0")
	if !strings.Contains(out, "STATUS: pending-install") || strings.Count(out, "image: ") != 3 {
		t.Errorf("helm install says %s", out)
	}
	byDigest := c.run("helm", "install", "r", "--plain-http", "--dry-run=client", "--disable-openapi-validation", "oci://"+registry.Host+"/fleet@"+inspect(t, ref).Digest)
	if _, manifests, ok := strings.Cut(byDigest, "MANIFEST:"); !ok || !strings.HasSuffix(out, manifests) {
		t.Errorf("by digest, it says %s", byDigest)
	}
}
