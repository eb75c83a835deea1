package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var keyTagLookup = regexp.MustCompile(`/manifests/[0-9a-f]{64}$`)

// meeting makes runs build the same images at once: nobody may write before key
// tags have been looked up, in vain, so many times.
func meeting(lookUps int) testenv.Option {
	var seen atomic.Int32
	met := make(chan struct{})
	return testenv.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodHead && keyTagLookup.MatchString(req.URL.Path) && seen.Add(1) == int32(lookUps) {
			close(met)
		}
		if strings.Contains(req.URL.Path, "/blobs/uploads/") && seen.Load() > 0 {
			select {
			case <-met:
			case <-req.Context().Done():
			}
		}
		return false
	})
}

// atOnce runs the program once for each of the machines, all at the same time.
func atOnce(t *testing.T, machines []*testenv.CLI, dir string, args ...string) []testenv.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // for a run that never ends
	defer cancel()
	results := make([]testenv.Result, len(machines))
	var group sync.WaitGroup
	for i, cli := range machines {
		group.Go(func() { results[i] = cli.RunContext(ctx, dir, nil, args...) })
	}
	group.Wait()
	for _, r := range results {
		r.Must(t)
	}
	return results
}

// machines are n runs on one machine, or on one each.
func machines(t *testing.T, n int, one bool) []*testenv.CLI {
	all := make([]*testenv.CLI, n)
	for i := range all {
		if all[i] = testenv.Slipway(t); one {
			all[i] = all[0]
		}
	}
	return all
}

// Runs that build the same images at once get in nobody's way: all succeed, with
// one key tag for each image, and with one digest.
func TestRunsAtOnce(t *testing.T) {
	repo := shop(t)
	for _, n := range []int{2, 4} {
		for _, one := range []bool{true, false} {
			where := "machines"
			if one {
				where = "on-one-machine"
			}
			t.Run(fmt.Sprintf("%d-%s", n, where), func(t *testing.T) {
				registry := shopRegistry(t, meeting(n*3)) // the shop has three images
				args := shopArgs(registry, "export", "--tag", registry.Host+"/published/%image%:v1")
				built := 0
				for _, r := range atOnce(t, machines(t, n, one), repo.Dir, args...) {
					built += strings.Count(r.Stderr, "[build front] done")
				}
				if want := map[bool]int{true: 1, false: n}[one]; built != want {
					t.Errorf("built %d times, want %d", built, want)
				}
				var keys []string
				for _, image := range planned(t, testenv.Slipway(t), repo).Images {
					keys = append(keys, image.Key)
					kept, published := registry.Digest("shop:"+image.Key), registry.Digest("published/"+image.Name+":v1")
					if kept == "" || kept != published {
						t.Errorf("%s is kept as %q and published as %q", image.Name, kept, published)
					}
				}
				slices.Sort(keys)
				if tags := keyTags(registry, "shop"); !slices.Equal(tags, keys) {
					t.Errorf("tags %v, want the keys %v", tags, keys)
				}
			})
		}
	}
}

// Builds that come out differently each time leave one answer: whoever loses
// the race for the key tag publishes the winner's image or leaves that to the
// next run, after which there is nothing to do.
func TestRunsAtOnceWithoutReproducibleBuilds(t *testing.T) {
	const n = 3
	registry := busyRegistry(t, meeting(n))
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox\nRUN head -c 16 /dev/urandom >/random\n",
	})
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/published:v1",
		"--container-registry-mirror", "http://" + registry.Host}
	atOnce(t, machines(t, n, false), repo.Dir, args...)
	kept := registry.Digest("app:" + planned(t, testenv.Slipway(t), repo).Images[0].Key)
	if tags := keyTags(registry, "app"); len(tags) != 1 || kept == "" {
		t.Errorf("tags %v, the key tag names %q", tags, kept)
	}
	testenv.Slipway(t).Run(repo.Dir, nil, append(args, "-Z")...).Must(t)
	if published := registry.Digest("published:v1"); published != kept {
		t.Errorf("published is %s, kept %s", published, kept)
	}
	if now := registry.Digest("app:" + keyTags(registry, "app")[0]); now != kept {
		t.Errorf("the key tag moved from %s to %s", kept, now)
	}
	if r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("there is something left to do:\n%s", r.Stderr)
	}
}

// Without a registry, runs of one machine share the project's layout, and may
// publish to one layout.
func TestRunsAtOnceInLayouts(t *testing.T) {
	base, repo := shopRegistry(t), shop(t)
	cli, out := testenv.Slipway(t), filepath.Join(t.TempDir(), "out")
	args := []string{"export", "--tag", "oci:" + out + ":%image%", "--container-registry-mirror", "http://" + base.Host}
	const n = 4
	atOnce(t, slices.Repeat([]*testenv.CLI{cli}, n), repo.Dir, args...)

	digests := map[string]string{} // of the published
	for _, desc := range layoutIndex(t, out) {
		digests[desc.Annotations[ocispec.AnnotationRefName]] = desc.Digest.String()
	}
	if len(digests) != 3 || len(layoutIndex(t, out)) != 3 {
		t.Errorf("published are %v, want one of each image", layoutIndex(t, out))
	}
	kept := layoutIndex(t, filepath.Join(cli.Home, "state/slipway/repos/shop"))
	for _, image := range planned(t, cli, repo).Images {
		named := slices.DeleteFunc(slices.Clone(kept), func(d ocispec.Descriptor) bool {
			return d.Annotations[ocispec.AnnotationRefName] != image.Key
		})
		if len(named) != 1 || named[0].Digest.String() != digests[image.Name] {
			t.Errorf("%s is kept as %v and published as %s", image.Name, named, digests[image.Name])
		}
	}
	if r := cli.Run(repo.Dir, nil, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("there is something left to do:\n%s", r.Stderr)
	}
}

func layoutIndex(t *testing.T, dir string) []ocispec.Descriptor {
	t.Helper()
	var index ocispec.Index
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err == nil {
		err = json.Unmarshal(raw, &index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return index.Manifests
}

// Two images that are the same but for their names have one key, are built once,
// and are published as two.
func TestTwoNamesForOneImage(t *testing.T) {
	t.Parallel()
	registry := shopRegistry(t)
	image := func(name string) string { return "---\nimage: " + name + "\ndockerfile: Dockerfile\n" }
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":                   "project: shop\nconfigVersion: 1\n" + image("one") + image("two") + image("three"),
		"Dockerfile":                  "FROM base\nCOPY file /file\n",
		"file":                        "content\n",
		".helm/templates/config.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  one: {{ .Values.werf.image.one }}\n  two: {{ .Values.werf.image.two }}\n",
	})
	key := planned(t, testenv.Slipway(t), repo).Images[0].Key
	for _, image := range planned(t, testenv.Slipway(t), repo).Images {
		if image.Key != key {
			t.Fatalf("the keys of one and %s differ", image.Name)
		}
	}
	labelled := registry.Host + "/labelled:%image%"
	args := shopArgs(registry, "export", "--tag", registry.Host+"/published:%image%", "--tag", registry.Host+"/shop:%image%")
	first := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
	if n := strings.Count(first.Stderr, "COPY file /file: done"); n != 1 {
		t.Errorf("built %d times:\n%s", n, first.Stderr)
	}
	puts := registry.Count(func(r testenv.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.Path, "/manifests/"+key)
	})
	if puts != 1 {
		t.Errorf("the key tag was written %d times", puts)
	}
	kept := registry.Digest("shop:" + key)
	for _, name := range []string{"one", "two", "three"} {
		for _, in := range []string{"published:", "shop:"} {
			if d := registry.Digest(in + name); d == "" || d != kept {
				t.Errorf("%s%s is %q, kept is %q", in, name, d, kept)
			}
		}
	}
	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "export", "--tag", labelled, "--add-label", "a=b")...).Must(t)
	if one, two := registry.Digest("labelled:one"), registry.Digest("labelled:two"); one == "" || one == kept || one != two {
		t.Errorf("labelled: %q and %q", one, two)
	}

	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "bundle", "publish", "--tag", "1.0.0")...).Must(t)
	cli := testenv.Slipway(t)
	manifests := helm(t, cli, t.TempDir(), "template", "release", "oci://"+registry.Host+"/shop", "--version", "1.0.0", "--plain-http")
	for _, name := range []string{"one", "two"} {
		if want := name + ": " + registry.Host + "/shop:" + key + "\n"; !strings.Contains(manifests, want) {
			t.Errorf("no %q in:\n%s", want, manifests)
		}
	}
	for _, verb := range [][]string{args, shopArgs(registry, "bundle", "publish", "--tag", "1.0.0")} {
		registry.Reset()
		if r := cli.Run(repo.Dir, nil, verb...).Must(t); len(registry.Writes()) > 0 {
			t.Errorf("the second run wrote %v:\n%s", registry.Writes(), r.Stderr)
		}
	}
}
