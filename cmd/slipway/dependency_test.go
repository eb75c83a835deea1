package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/cmd/internal/testenv"
)

// archive packs a chart of one template with the real Helm.
func archive(t *testing.T, dir, name, version string) string {
	t.Helper()
	chart := filepath.Join(t.TempDir(), name)
	for file, text := range map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n",
		"templates/a.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Chart.Name }}}\ndata: {version: v{{ .Chart.Version }}}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(chart, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(chart, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	helm(t, testenv.Slipway(t), dir, "package", chart, "--destination", dir)
	return filepath.Join(dir, name+"-"+version+".tgz")
}

// chartRepository serves a classic repository that the real Helm indexed; requests
// are counted.
func chartRepository(t *testing.T, charts ...string) (url string, dir string, requests *atomic.Int64) {
	dir, requests = t.TempDir(), new(atomic.Int64)
	for _, c := range charts {
		name, version, _ := strings.Cut(c, " ")
		archive(t, dir, name, version)
	}
	helm(t, testenv.Slipway(t), dir, "repo", "index", dir)
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, dir, requests
}

// Dependencies of every kind are in the bundle, byte for byte as they were
// published, and are fetched once.
func TestChartDependencies(t *testing.T) {
	t.Parallel()
	url, dir, requests := chartRepository(t, "redis 1.2.3", "redis 1.3.0", "redis 2.0.0+build.1", "web 0.1.0")
	charts, bundles := testenv.Registry(t, testenv.User("puller", "secret")), testenv.Registry(t)
	login := testenv.Slipway(t)
	helm(t, login, dir, "registry", "login", charts.Host, "-u", "puller", "-p", "secret", "--plain-http")
	for _, version := range []string{"0.9.0", "v1.0.0+x.1"} {
		helm(t, login, dir, "push", archive(t, dir, "db", version), "oci://"+charts.Host+"/team", "--plain-http")
	}
	chartYAML := fmt.Sprintf(`apiVersion: v2
name: app
version: 0.1.0
dependencies:
- {name: redis, version: ^1.0, repository: %[1]q, alias: cache}
- {name: redis, version: 2.0.0+build.1, repository: %[1]q}
- {name: db, version: ">=0.9", repository: "oci://%[2]s/team", condition: db.enabled}
- {name: common, version: 0.0.1, repository: "file://../common"}
`, url, charts.Host)
	repo := chartProject(t, map[string]string{
		".helm/Chart.yaml": chartYAML, ".helm/values.yaml": "db: {enabled: true}\n",
		"common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.0.1\n", "common/templates/a.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: common}\n",
	})
	cli := testenv.Slipway(t)
	logIn(t, cli, logins{charts.Host: "puller:secret"})
	args := []string{"bundle", "publish", "--repo", bundles.Host + "/app", "--tag", "1.0.0"}
	publish := func(cli *testenv.CLI) testenv.Result {
		t.Helper()
		charts.Reset()
		bundles.Reset()
		requests.Store(0)
		return cli.Run(repo.Dir, nil, args...).Must(t)
	}
	out := publish(cli)
	for _, want := range []string{"the dependency floats", "redis ^1.0 of " + url, "db >=0.9 of oci://"} {
		if !strings.Contains(out.Stderr, want) {
			t.Errorf("no %q in\n%s", want, out.Stderr)
		}
	}
	if strings.Contains(out.Stderr, "redis 2.0.0") {
		t.Errorf("an exact version is said to float:\n%s", out.Stderr)
	}
	if n := requests.Load(); n != 3 { // the index and two archives
		t.Errorf("%d requests to the repository, want 3", n)
	}
	chart := published(t, bundles, "app", "1.0.0")
	for _, name := range []string{"redis-1.3.0.tgz", "redis-2.0.0+build.1.tgz", "db-v1.0.0+x.1.tgz"} {
		got, err := os.ReadFile(filepath.Join(chart, "charts", name))
		want, wantErr := os.ReadFile(filepath.Join(dir, name))
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what was published (%v, %v)", name, err, wantErr)
		}
	}
	manifests := rendered(t, chart)
	for _, want := range []string{"name: cache", "v1.3.0", "name: redis", "v2.0.0", "name: db", "v1.0.0", "name: common"} {
		if !strings.Contains(manifests, want) {
			t.Errorf("no %q in\n%s", want, manifests)
		}
	}
	if off := rendered(t, chart, "--set", "db.enabled=false"); strings.Contains(off, "name: db") {
		t.Errorf("a dependency that is switched off is rendered:\n%s", off)
	}
	digest := bundles.Digest("app:1.0.0")

	t.Run("pinned", func(t *testing.T) {
		repo.Write(".helm/Chart.lock", fmt.Sprintf(`dependencies:
- {name: redis, version: 1.2.3, repository: %[1]q}
- {name: redis, version: 2.0.0+build.1, repository: %[1]q}
- {name: db, version: v1.0.0+x.1, repository: "oci://%[2]s/team"}
- {name: common, version: 0.0.1, repository: "file://../common"}
digest: sha256:00
generated: "2026-01-01T00:00:00Z"
`, url, charts.Host))
		repo.Commit("pin")
		if out := publish(cli); strings.Contains(out.Stderr, "floats") {
			t.Errorf("what is pinned is said to float:\n%s", out.Stderr)
		}
		if pinned := bundles.Digest("app:1.0.0"); pinned == digest {
			t.Error("another version gave the same bundle")
		}
		publish(cli)
		if n := requests.Load() + int64(len(charts.Log())); n != 0 || len(bundles.Writes()) > 0 || len(bundles.Log()) > 2 {
			t.Errorf("%d requests for charts; for the bundle %v", n, bundles.Log())
		}
		// What is kept is not trusted: what is damaged is fetched again.
		kept, err := filepath.Glob(cli.Home + "/state/slipway/charts/sha256/*")
		if err != nil || len(kept) != 4 {
			t.Fatalf("%d archives are kept, %v", len(kept), err)
		}
		for _, file := range kept {
			if err := os.WriteFile(file, []byte("damaged"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		pinned := bundles.Digest("app:1.0.0")
		publish(cli)
		if requests.Load() == 0 || bundles.Digest("app:1.0.0") != pinned {
			t.Errorf("damaged archives: %d requests, the bundle is %s, want %s", requests.Load(), bundles.Digest("app:1.0.0"), pinned)
		}
	})
	t.Run("a change beside the chart", func(t *testing.T) {
		repo.Write("common/templates/a.yaml", "changed\n")
		if r := cli.Run(repo.Dir, nil, args...); r.Code != 2 || !strings.Contains(r.Stderr, "common/templates/a.yaml") {
			t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
		}
		repo.Git("checkout", "common")
	})
	t.Run("not what the index says", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "redis-1.2.3.tgz"), []byte("another"), 0o644); err != nil {
			t.Fatal(err)
		}
		other := testenv.Slipway(t)
		logIn(t, other, logins{charts.Host: "puller:secret"})
		if r := other.Run(repo.Dir, nil, args...); r.Code != 1 || !strings.Contains(r.Stderr, "is not what its index says") {
			t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
		}
	})
	for name, test := range map[string]struct {
		dependency string
		code       int
		want       []string
	}{
		"no such chart":            {fmt.Sprintf("{name: none, version: 1.0.0, repository: %q}", url), 2, []string{".helm/Chart.yaml:5: ", "5 | - {name: none", `has no chart "none"`}},
		"no such version":          {fmt.Sprintf("{name: redis, version: ^7, repository: %q}", url), 2, []string{".helm/Chart.yaml:5: ", `no version of "redis" that ^7 takes`}},
		"no repository":            {fmt.Sprintf("{name: redis, version: 1.0.0, repository: %q}", url+"/nowhere"), 2, []string{".helm/Chart.yaml:5: ", "is no repository of charts"}},
		"no such tag":              {fmt.Sprintf("{name: none, version: 1.0.0, repository: 'oci://%s/team'}", bundles.Host), 2, []string{".helm/Chart.yaml:5: ", `"none" in version 1.0.0 is not there`}},
		"no right":                 {fmt.Sprintf("{name: db, version: 1.0.0, repository: 'oci://%s/team'}", charts.Host), 1, []string{".helm/Chart.yaml: ", "slipway cr login " + charts.Host}},
		"an image and not a chart": {fmt.Sprintf("{name: base, version: 1.0.0, repository: 'oci://%s/library'}", bundles.Host), 1, []string{"is no Helm chart"}},
		"nobody there":             {"{name: redis, version: 1.0.0, repository: 'http://127.0.0.1:1'}", 1, []string{"connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			bundles.PushImage("library/base:1.0.0", testenv.TreeImage(t, nil, map[string]string{"a": "b"}, nil))
			repo := chartProject(t, map[string]string{".helm/Chart.yaml": "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- " + test.dependency + "\n"})
			r := testenv.Slipway(t).Run(repo.Dir, nil, args...)
			if r.Code != test.code {
				t.Errorf("exit code %d, want %d", r.Code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("no %q in\n%s", want, r.Stderr)
				}
			}
		})
	}
}
