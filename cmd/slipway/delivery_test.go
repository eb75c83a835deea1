package main

import (
	"net/http"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// inRepository counts the requests of one method about the blobs or manifests of
// a repository.
func inRepository(registry *testenv.RegistryServer, repository, kind, method string) int {
	return registry.Count(func(r testenv.Request) bool {
		return r.Method == method && strings.HasPrefix(r.Path, "/v2/"+repository+"/"+kind+"/")
	})
}

// What a registry has already is not sent to it again: another repository of the
// same registry mounts the blobs; only another registry gets the bytes, and the
// next tag there mounts them again.
func TestDelivery(t *testing.T) {
	t.Parallel()
	home, abroad := busyRegistry(t), testenv.Registry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox\nCOPY one /one\nCOPY two /two\n",
		"one":        "1\n", "two": "2\n",
	})
	in := []string{"--repo", home.Host + "/app", "--container-registry-mirror", "http://" + home.Host}
	testenv.Slipway(t).Run(repo.Dir, nil, append([]string{"build"}, in...)...).Must(t)
	const blobs = 4 // three layers and the config
	key := planned(t, testenv.Slipway(t), repo).Images[0].Key
	kept := home.Digest("app:" + key)

	steps := []struct {
		name, repository, tag  string
		registry               *testenv.RegistryServer
		mounts, uploads, reads int // of blobs: taken over, sent, fetched from home
		manifests              int
		args                   []string
	}{
		{"another repository", "team/published", "v1", home, blobs, 0, 0, 2, nil},
		{"another tag there", "team/published", "v2", home, 0, 0, 0, 1, nil},
		{"a tag in the repository itself", "app", "v1", home, 0, 0, 0, 1, nil},
		{"another registry", "published", "v1", abroad, 0, blobs, blobs, 2, nil},
		{"another tag in the other registry", "published", "v2", abroad, 0, 0, 0, 1, nil},
		{"nothing new", "published", "v2", abroad, 0, 0, 0, 0, nil},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			home.Reset()
			abroad.Reset()
			ref := s.repository + ":" + s.tag
			args := append([]string{"export", "-Z", "--tag", s.registry.Host + "/" + ref}, append(in, s.args...)...)
			testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			if d := s.registry.Digest(ref); d != kept {
				t.Errorf("published is %q, kept %s", d, kept)
			}
			mounts := s.registry.Count(func(r testenv.Request) bool {
				return r.Method == http.MethodPost && strings.Contains(r.Query, "mount=") && r.Status == http.StatusCreated
			})
			if mounts != s.mounts {
				t.Errorf("%d blobs mounted, want %d", mounts, s.mounts)
			}
			if n := inRepository(s.registry, s.repository, "blobs", http.MethodPut); n != s.uploads {
				t.Errorf("%d blobs uploaded, want %d", n, s.uploads)
			}
			if n := inRepository(s.registry, s.repository, "blobs", http.MethodPatch); s.uploads == 0 && n > 0 {
				t.Errorf("%d parts of blobs uploaded", n)
			}
			if n := inRepository(home, "app", "blobs", http.MethodGet); n != s.reads {
				t.Errorf("%d blobs fetched, want %d", n, s.reads)
			}
			if n := inRepository(s.registry, s.repository, "manifests", http.MethodPut); n > s.manifests {
				t.Errorf("%d manifests written, want at most %d", n, s.manifests)
			}
			if t.Failed() {
				t.Logf("home: %v\nabroad: %v", home.Log(), abroad.Log())
			}
		})
	}
	// What was published abroad is whole: it runs without home.
	if out := testenv.RunImage(t, abroad.Host+"/published:v1", "cat", "/one", "/two").Must(t); out.Stdout != "1\n2\n" {
		t.Errorf("the image says %q", out.Stdout)
	}
}

// Many tags of one run, over registries and layouts, name one image.
func TestManyTags(t *testing.T) {
	t.Parallel()
	one, two, dir := shopRegistry(t), testenv.Registry(t), t.TempDir()
	repo := shop(t)
	args := shopArgs(one, "export", "--tag", one.Host+"/a/%image%:v1", "--tag", two.Host+"/b:%image%")
	r := testenv.Slipway(t).Run(repo.Dir, []string{"WERF_TAG_1=oci:" + dir + "/out:%image%", "WERF_TAG_2=" + one.Host + "/c/%image_slug%"}, args...).Must(t)
	var want []string
	for _, tag := range []string{one.Host + "/a/%:v1", two.Host + "/b:%", "oci:" + dir + "/out:%", one.Host + "/c/%:latest"} {
		for _, name := range []string{"front", "back", "jobs"} {
			want = append(want, strings.Replace(tag, "%", name, 1))
		}
	}
	if r.Stdout != strings.Join(want, "\n")+"\n" {
		t.Errorf("published\n%swant\n%s", r.Stdout, strings.Join(want, "\n"))
	}
	digests := map[string]string{}
	for _, desc := range layoutIndex(t, dir+"/out") {
		digests[desc.Annotations["org.opencontainers.image.ref.name"]] = desc.Digest.String()
	}
	for _, name := range []string{"front", "back", "jobs"} {
		for place, d := range map[string]string{"a": one.Digest("a/" + name + ":v1"), "b": two.Digest("b:" + name), "c": one.Digest("c/" + name + ":latest")} {
			if d == "" || d != digests[name] {
				t.Errorf("%s of %s is %q, in the layout %q", name, place, d, digests[name])
			}
		}
	}
}
