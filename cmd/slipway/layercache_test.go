package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// steps counts the RUNs that are run: each asks it for its own name.
type steps struct {
	host string

	mu  sync.Mutex
	ran map[string]int
}

func countSteps(t *testing.T) *steps {
	s := &steps{ran: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ran[strings.TrimPrefix(r.URL.Path, "/")]++
	}))
	t.Cleanup(server.Close)
	s.host = server.Listener.Addr().String()
	return s
}

// run is a RUN that is counted.
func (s *steps) run(name, command string) string {
	return fmt.Sprintf("RUN wget -q -O /dev/null http://%s/%s && %s\n", s.host, name, command)
}

// since is what was run since the last call, and how often.
func (s *steps) since() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ran := s.ran
	s.ran = map[string]int{}
	return ran
}

func (s *steps) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	expected := map[string]int{}
	for _, name := range want {
		expected[name]++
	}
	if got := s.since(); fmt.Sprint(got) != fmt.Sprint(expected) {
		t.Errorf("%s: steps that ran: %v, want %v", when, got, expected)
	}
}

// cacheArgs build the project app in a registry that also has its bases.
func cacheArgs(registry *testenv.RegistryServer, args ...string) []string {
	return append(args, "--repo", registry.Host+"/app", "--container-registry-mirror", "http://"+registry.Host)
}

// Ten images, one file changed in one, a machine that has never seen the project:
// what comes after the change is run, and nothing else, and what it does not need
// is not fetched.
func TestLayerCache(t *testing.T) {
	registry, steps := busyRegistry(t), countSteps(t)
	files := map[string]string{"werf.yaml": "project: app\nconfigVersion: 1\n"}
	var all []string
	for i := range 10 {
		name := fmt.Sprintf("image%d", i)
		files["werf.yaml"] += "---\nimage: " + name + "\ncontext: " + name + "\ndockerfile: Dockerfile\n"
		files[name+"/Dockerfile"] = "FROM busybox AS tools\n" + steps.run(name+"-sources", "head -c 300000 /dev/urandom >/sources") +
			steps.run(name+"-tools", "head -c 3000 /dev/urandom >/tool") +
			"FROM busybox\nCOPY deps /deps\n" + steps.run(name+"-deps", "head -c 3000 /dev/urandom >/installed") +
			"COPY --from=tools /tool /tool\nCOPY src /src\n" + steps.run(name+"-build", "cat /src /installed >/built")
		files[name+"/deps"], files[name+"/src"] = "deps", "src"
		all = append(all, name+"-sources", name+"-tools", name+"-deps", name+"-build")
	}
	repo := testenv.GitRepo(t, files)
	testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	steps.expect(t, "first", all...)
	// The registry holds each layer once: image and cache share those of the image.
	// Those of the other stage are the cache's, too: its sources, and the tool, which
	// is copied.
	for _, planned := range planned(t, testenv.Slipway(t), repo).Images {
		image := layersOf(t, registry, "app:"+planned.Key)
		tags := slices.DeleteFunc(registry.Tags("app"), func(tag string) bool { return !strings.HasPrefix(tag, "cache-"+planned.Name+"-") })
		cached := layersOf(t, registry, "app:"+tags[0])
		for _, layer := range image {
			if !slices.Contains(cached, layer) {
				t.Errorf("%s: %s of the image is not in its cache: %v", planned.Name, layer, cached)
			}
		}
		if len(image) != 6 || len(cached) != len(image)+2 {
			t.Errorf("%s: %d layers in the image, %d in its cache: %v, %v", planned.Name, len(image), len(cached), image, cached)
		}
	}

	repo.Write("image3/src", "changed")
	repo.Commit("change one")
	registry.Reset()
	testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	steps.expect(t, "one changed", "image3-build")
	// The base, what was copied and installed; not what the tools were made from.
	layers := registry.Count(func(r testenv.Request) bool {
		return r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v2/app/blobs/")
	})
	if layers > 1+4 {
		t.Errorf("%d blobs were fetched, want at most the cache's records and 4 layers: %v", layers, registry.Log())
	}
	if n := len(registry.Log()); n > 70 {
		t.Errorf("%d requests: %v", n, registry.Log())
	}
	registry.Reset()
	testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	if n := len(registry.Log()); n != 10 {
		t.Errorf("nothing to do: %d requests: %v", n, registry.Log())
	}
}

// What an image shares with one that is still being built is in its cache like all
// else: here the first COPY, and with it BuildKit's idea of the context.
func TestLayerCacheOfSharedSteps(t *testing.T) {
	registry := busyRegistry(t)
	caches := func(image string) []string {
		return slices.DeleteFunc(registry.Tags("app"), func(tag string) bool { return !strings.HasPrefix(tag, "cache-"+image+"-") })
	}
	shared, joined := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/quick": // has copied what is shared
			close(shared)
		case "/gate":
			<-shared
		case "/slow": // has copied it, too
			close(joined)
			for range 3000 { // half a minute, if it never comes
				if len(caches("quick")) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		case "/quick-again":
			<-joined
		}
	}))
	t.Cleanup(server.Close)
	ask := func(path string) string {
		return "RUN wget -q -O /dev/null http://" + server.Listener.Addr().String() + "/" + path + "\n"
	}
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n" +
			"---\nimage: quick\ndockerfile: quick.Dockerfile\n" +
			"---\nimage: gate\ndockerfile: gate.Dockerfile\n" +
			"---\nimage: slow\ndockerfile: slow.Dockerfile\ndependencies: [{image: gate, imports: [{type: ImageDigest, targetBuildArg: GATE}]}]\n",
		"quick.Dockerfile": "FROM busybox\nCOPY deps /deps\n" + ask("quick") + "COPY src /src\n" + ask("quick-again"),
		"gate.Dockerfile":  "FROM busybox\n" + ask("gate"),
		"slow.Dockerfile":  "FROM busybox\nCOPY deps /deps\nARG GATE\n" + ask("slow"),
		"deps":             "deps", "src": "src",
	})
	testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	image := layersOf(t, registry, "app:"+planned(t, testenv.Slipway(t), repo).Images[0].Key)
	if len(caches("quick")) == 0 {
		t.Fatal("no cache is stored")
	}
	if cached := layersOf(t, registry, "app:"+caches("quick")[0]); !slices.Equal(slices.Sorted(slices.Values(cached)), slices.Sorted(slices.Values(image))) {
		t.Errorf("the image has the layers %v, its cache %v", image, cached)
	}
}

func layersOf(t *testing.T, registry *testenv.RegistryServer, ref string) (digests []string) {
	t.Helper()
	manifest, err := registry.Image(ref).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest.Layers {
		digests = append(digests, layer.Digest.String())
	}
	return digests
}

// staged is a project of one image whose steps follow each other.
func staged(t *testing.T, steps *steps) *testenv.Repo {
	return testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox AS tools\n" + steps.run("tools", "echo tool >/tool") +
			"FROM busybox\n" + steps.run("base", "echo base >/base") + "COPY file /file\n" + steps.run("build", "cat /file >/built") + "COPY --from=tools /tool /tool\n",
		"file": "one",
	})
}

// A branch is offered its own cache and then that of the main one, whether git or
// CI knows what it is called.
func TestLayerCacheOfBranches(t *testing.T) {
	registry, steps := busyRegistry(t), countSteps(t)
	repo := staged(t, steps)
	build := func(env ...string) {
		t.Helper()
		testenv.Slipway(t).Run(repo.Dir, env, cacheArgs(registry, "build")...).Must(t)
	}
	build()
	steps.expect(t, "main", "base", "build", "tools")
	repo.Git("checkout", "-q", "-b", "feature/one")
	repo.Write("file", "two")
	repo.Commit("on a branch")
	build()
	steps.expect(t, "a new branch", "build")
	text := fileOf(t, repo, "Dockerfile")
	repo.Write("Dockerfile", strings.Replace(text, "echo base", "echo other", 1))
	repo.Commit("another base on the branch")
	build()
	steps.expect(t, "the branch changes its base", "base", "build")
	repo.Write("file", "three")
	repo.Commit("on the branch with its own base")
	repo.Git("checkout", "-q", "--detach")
	build("GITHUB_HEAD_REF=feature/one", "GITHUB_REF_NAME=12/merge")
	steps.expect(t, "the branch, by CI's variables", "build")
	repo.Write("file", "four")
	repo.Commit("nobody knows the branch")
	build()
	steps.expect(t, "no branch: the main one's", "base", "build")
	repo.Write("file", "five")
	repo.Commit("nobody knows the branch, again")
	build()
	steps.expect(t, "no branch: what was built without one", "build")
	if tags := slices.DeleteFunc(registry.Tags("app"), func(tag string) bool { return !isCacheTag(tag) }); len(tags) != 3 ||
		!strings.HasPrefix(tags[0], "cache-app-detached-") || !strings.HasPrefix(tags[1], "cache-app-feature-one-") || !strings.HasPrefix(tags[2], "cache-app-main-") {
		t.Errorf("caches: %v", tags)
	}

	main := func() string {
		return registry.Digest("app:" + slices.DeleteFunc(registry.Tags("app"), func(tag string) bool { return !strings.HasPrefix(tag, "cache-app-main-") })[0])
	}
	before := main()
	repo.Write("file", "six")
	repo.Commit("the main branch of a fork")
	build("GITHUB_HEAD_REF=main", "GITHUB_REF_NAME=13/merge", "GITHUB_BASE_REF=main")
	steps.expect(t, "a fork: with the main branch's cache", "base", "build")
	if main() != before {
		t.Error("the fork's is the main branch's cache now")
	}
	repo.Write("file", "seven")
	repo.Commit("the main branch of a fork, again")
	build("GITHUB_HEAD_REF=main", "GITHUB_REF_NAME=13/merge", "GITHUB_BASE_REF=main")
	steps.expect(t, "a fork: with its own cache", "build")
}

// How much is kept, and where.
func TestLayerCacheFlags(t *testing.T) {
	steps := countSteps(t)
	tests := map[string]struct {
		args   []string // HOST and OTHER stand for registries
		again  []string // what runs again when the file changes
		caches [2]int   // in the repository, and elsewhere
	}{
		"max":       {[]string{"--cache=max"}, []string{"build"}, [2]int{1, 0}},
		"min":       {[]string{"--cache=min"}, []string{"build", "tools"}, [2]int{1, 0}},
		"off":       {[]string{"--cache=off"}, []string{"base", "build", "tools"}, [2]int{0, 0}},
		"elsewhere": {[]string{"--cache-repo=OTHER/caches"}, []string{"build"}, [2]int{0, 1}},
		"both":      {[]string{"--cache-repo=OTHER/caches", "--cache-repo=HOST/app"}, []string{"build"}, [2]int{1, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			registry, other, repo := busyRegistry(t), testenv.Registry(t), staged(t, steps)
			args := cacheArgs(registry, "build")
			for _, arg := range test.args {
				args = append(args, strings.NewReplacer("HOST", registry.Host, "OTHER", other.Host).Replace(arg))
			}
			testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			steps.expect(t, "first", "base", "build", "tools")
			repo.Write("file", "two")
			repo.Commit("change")
			testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			steps.expect(t, "second", test.again...)
			for i, where := range []int{len(registry.Tags("app")) - len(keyTags(registry, "app")), len(other.Tags("caches"))} {
				if where != test.caches[i] {
					t.Errorf("caches at place %d: %d, want %d", i, where, test.caches[i])
				}
			}
		})
	}
	registry, repo := busyRegistry(t), staged(t, steps)
	for want, args := range map[string][]string{
		"it can be max, min or off":           {"--cache=some"},
		"layer caches are kept in registries": {"--cache-repo=oci:caches"},
		"a repository has no tag":             {"--cache-repo=" + registry.Host + "/caches:latest"},
		"--cache-repo has no value":           {"--cache-repo="},
		"--secondary-repo has no value":       {"--secondary-repo="},
	} {
		if r := testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, append([]string{"build"}, args...)...)...); r.Code != 2 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%v: exit code %d\n%s", args, r.Code, r.Stderr)
		}
	}
}

// Images that share stages of a Dockerfile have them built once in a run, and
// find them in each other's caches.
func TestLayerCacheOfSharedStages(t *testing.T) {
	registry, steps := busyRegistry(t, testenv.User("ci", "secret")), countSteps(t)
	files := map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n",
		"Dockerfile": "FROM busybox AS shared\nCOPY common /common\n" + steps.run("shared", "sleep 1; cat /common >/shared"),
		"common":     "one",
	}
	for _, name := range []string{"front", "back", "jobs"} {
		files["werf.yaml"] += "---\nimage: " + name + "\ndockerfile: Dockerfile\ntarget: " + name + "\n"
		files["Dockerfile"] += "FROM shared AS " + name + "\nCOPY " + name + " /own\n" + steps.run(name, "cat /own >/built")
		files[name] = name
	}
	repo := testenv.GitRepo(t, files)
	machine := func() *testenv.CLI {
		cli := testenv.Slipway(t)
		cli.Run(repo.Dir, nil, "cr", "login", registry.Host, "-u", "ci", "-p", "secret").Must(t)
		return cli
	}
	machine().Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	steps.expect(t, "all", "shared", "front", "back", "jobs")
	repo.Write("common", "two")
	repo.Commit("change what is shared")
	machine().Run(repo.Dir, nil, cacheArgs(registry, "build", "front")...).Must(t)
	steps.expect(t, "one image of the new commit", "shared", "front")
	machine().Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	steps.expect(t, "the others", "back", "jobs")
}

// Each platform has a cache of its own.
func TestLayerCacheOfPlatforms(t *testing.T) {
	registry, steps := busyRegistry(t), countSteps(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM --platform=$BUILDPLATFORM busybox AS build\n" + steps.run("common", "echo common >/common") + "ARG TARGETARCH\n" +
			steps.run("for-$TARGETARCH", "echo $TARGETARCH >/arch") + "COPY file /file\n" + steps.run("build-$TARGETARCH", "cat /file /arch >/built") +
			"FROM scratch\nCOPY --from=build /built /built\n",
		"file": "one",
	})
	build := func(platforms string) {
		t.Helper()
		testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build", "--platform", platforms)...).Must(t)
	}
	build("linux/amd64")
	steps.expect(t, "the first platform", "common", "for-amd64", "build-amd64")
	build("linux/amd64,linux/arm64")
	steps.expect(t, "a second one", "common", "for-arm64", "build-arm64")
	repo.Write("file", "two")
	repo.Commit("change")
	build("linux/amd64,linux/arm64")
	steps.expect(t, "both", "build-amd64", "build-arm64")
}

// keyTags are the tags of a repository less those of layer caches.
func keyTags(registry *testenv.RegistryServer, repository string) []string {
	return slices.DeleteFunc(registry.Tags(repository), isCacheTag)
}

func isCacheTag(tag string) bool { return strings.HasPrefix(tag, "cache-") }
