package main

import (
	"fmt"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// values are what templates of a published bundle are given.
func values(t *testing.T, registry *testenv.RegistryServer, repository, version string) string {
	t.Helper()
	return helm(t, testenv.Slipway(t), t.TempDir(), "show", "values", published(t, registry, repository, version))
}

func TestCustomTags(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	repo.Write("werf-giterminism.yaml", "giterminismConfigVersion: 1\ncli: {allowCustomTags: true}\n")
	repo.Commit("allow custom tags")
	run := func(args ...string) testenv.Result {
		t.Helper()
		return testenv.Slipway(t).Run(repo.Dir, []string{"WERF_ADD_CUSTOM_TAG_1=%image%-env"}, shopArgs(registry, args...)...).Must(t)
	}
	r := run("build", "--add-custom-tag", "%image_slug%-%image_content_based_tag%")
	key := map[string]string{}
	for _, image := range planned(t, testenv.Slipway(t), repo).Images {
		key[image.Name] = image.Key
		for _, tag := range []string{image.Name + "-env", image.Name + "-" + image.Key} {
			if d := registry.Digest("shop:" + tag); d == "" || d != registry.Digest("shop:"+image.Key) || !strings.Contains(r.Stdout, "/shop:"+tag+"\n") {
				t.Errorf("%s is %q, of the key %q\n%s", tag, d, registry.Digest("shop:"+image.Key), r.Stdout)
			}
		}
	}
	run("bundle", "publish", "--tag", "1.0.0", "--use-custom-tag", "%image%-used")
	got := values(t, registry, "shop", "1.0.0")
	for _, want := range []string{
		"front: " + registry.Host + "/shop:front-used", "front: front-used",
		"ref: " + registry.Host + "/shop:front-used@" + registry.Digest("shop:"+key["front"]),
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, tag := range []string{"front-used", "jobs-used", "back-env"} {
		if name, _, _ := strings.Cut(tag, "-"); registry.Digest("shop:"+tag) != registry.Digest("shop:"+key[name]) {
			t.Errorf("%s does not name the image", tag)
		}
	}
	// A no-op costs a request for each tag more, and writes nothing.
	registry.Reset()
	if run("bundle", "publish", "--tag", "1.0.0", "--use-custom-tag", "%image%-used"); len(registry.Writes()) > 0 || len(registry.Log()) > 5+6 {
		t.Errorf("nothing to do: %v", registry.Log())
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"one name for several":  {[]string{"build", "--add-custom-tag", "v1"}, []string{`--add-custom-tag v1 gives the image "back" the name of the image "front"`, "%image%"}},
		"the bundle's":          {[]string{"bundle", "publish", "front", "--tag", "v1", "--add-custom-tag", "v1"}, []string{"the name of the bundle"}},
		"no tag":                {[]string{"build", "--add-custom-tag", "%image%/x"}, []string{`"front/x" is not a tag`}},
		"a key":                 {[]string{"build", "front", "--add-custom-tag", strings.Repeat("a", 64)}, []string{"--add-custom-tag", "keys do not move"}},
		"another's of this run": {[]string{"bundle", "publish", "--add-custom-tag", "%image%-1", "--use-custom-tag", "front-1"}, []string{`--use-custom-tag front-1 gives`}},
		"without images":        {[]string{"bundle", "publish", "--without-images", "--use-custom-tag", "x"}, []string{"--without-images"}},
	} {
		t.Run(name, func(t *testing.T) {
			registry.Reset()
			r := testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, test.args...)...)
			for _, want := range test.want {
				if r.Code != 2 || !strings.Contains(r.Stderr, want) {
					t.Errorf("exit code %d, no %q in\n%s", r.Code, want, r.Stderr)
				}
			}
			if log := registry.Log(); len(log) > 0 {
				t.Errorf("requests: %v", log)
			}
		})
	}
	repo.Remove("werf-giterminism.yaml")
	repo.Commit("allow nothing")
	if r := testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "bundle", "publish", "--use-custom-tag", "%image%")...); r.Code != 2 || !strings.Contains(r.Stderr, "allowCustomTags: true") {
		t.Errorf("not allowed: exit code %d\n%s", r.Code, r.Stderr)
	}
}

// Final images are used from the final repository; keys of all stay in the other.
func TestFinalRepo(t *testing.T) {
	t.Parallel()
	home, final, repo := shopRegistry(t), testenv.Registry(t), shop(t)
	repo.Write("werf.yaml", strings.Replace(shopYAML(repo), "image: jobs\n", "image: jobs\nfinal: false\n", 1))
	repo.Commit("jobs is not final")
	run := func(args ...string) testenv.Result {
		t.Helper()
		return testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(home, append(args, "--final-repo", final.Host+"/final/shop")...)...).Must(t)
	}
	key := map[string]string{}
	for _, image := range planned(t, testenv.Slipway(t), repo).Images {
		key[image.Name] = image.Key
	}
	check := func(want string) {
		t.Helper()
		for name, k := range key {
			if d := final.Digest("final/shop:" + k); (d != "" && d == home.Digest("shop:"+k)) != strings.Contains(want, name) {
				t.Errorf("%s is %q in the final repository, %q at home", name, d, home.Digest("shop:"+k))
			}
		}
	}
	r := run("bundle", "publish", "--tag", "1.0.0", "--add-custom-tag", "%image%-v1", "--final-images-only=false")
	check("front back")
	if want := final.Host + "/final/shop:1.0.0\n"; !strings.HasPrefix(r.Stdout, want) || final.Digest("final/shop:front-v1") == "" || home.Digest("shop:jobs-v1") == "" || home.Digest("shop:front-v1") != "" {
		t.Errorf("published %s; tags here %v, there %v", r.Stdout, home.Tags("shop"), final.Tags("final/shop"))
	}
	got := values(t, final, "final/shop", "1.0.0")
	for _, want := range []string{
		"front: " + final.Host + "/final/shop:" + key["front"], "jobs: " + home.Host + "/shop:" + key["jobs"], "repo: " + final.Host + "/final/shop",
		"ref: " + final.Host + "/final/shop:" + key["back"] + "@" + final.Digest("final/shop:"+key["back"]),
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	home.Reset()
	final.Reset()
	run("bundle", "publish", "--tag", "1.0.0")
	final.Reset()
	if run("bundle", "publish", "--tag", "1.0.0"); len(home.Log()) > 0 || len(final.Log()) > 2+2 || len(final.Writes()) > 0 {
		t.Errorf("nothing to do: at home %v, there %v", home.Log(), final.Log())
	}
	// Other verbs bring final images there, too.
	repo.Write("front/src/main", "changed")
	repo.Commit("change front")
	for _, image := range planned(t, testenv.Slipway(t), repo).Images {
		key[image.Name] = image.Key
	}
	if r := run("build"); !strings.Contains(r.Stdout, final.Host+"/final/shop:"+key["front"]+"\n") || !strings.Contains(r.Stdout, home.Host+"/shop:"+key["jobs"]+"\n") {
		t.Errorf("built\n%s", r.Stdout)
	}
	check("front back")
	repo.Write("back/src/main", "changed")
	repo.Commit("change back")
	key["back"] = planned(t, testenv.Slipway(t), repo, "back").Images[0].Key
	run("export", "back", "--tag", fmt.Sprintf("%s/out:v1", final.Host))
	check("front back")
	if final.Digest("out:v1") != home.Digest("shop:"+key["back"]) {
		t.Error("what was exported is another image")
	}
}

func TestWithoutImages(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	registry.Reset()
	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "bundle", "publish", "--tag", "1.0.0", "--without-images")...).Must(t)
	for _, request := range registry.Log() {
		if strings.Contains(request.Path, "library/base") {
			t.Errorf("an image was built: %v", request)
		}
	}
	if got := values(t, registry, "shop", "1.0.0"); !strings.Contains(got, "image: {}\n") || !strings.Contains(got, "images: {}\n") {
		t.Errorf("values\n%s", got)
	}
}

func shopYAML(repo *testenv.Repo) string { return repo.Git("show", "HEAD:werf.yaml") + "\n" }
