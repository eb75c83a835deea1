package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/cmd/internal/testenv"
)

// cacheProject has an image for two platforms, one that is made from another, and
// a chart.
func cacheProject(t *testing.T) *testenv.Repo {
	return testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: multi\nplatform: [linux/amd64, linux/arm64]\ndockerfile: Dockerfile\n" +
			"---\nimage: lower\ndockerfile: lower.Dockerfile\n---\nimage: upper\ndockerfile: upper.Dockerfile\ndependencies:\n- image: lower\n  imports: [{type: ImageName, targetBuildArg: LOWER}]\n",
		"Dockerfile":             "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /of-$TARGETARCH\n",
		"lower.Dockerfile":       "FROM scratch\nCOPY lower.Dockerfile /lower\n",
		"upper.Dockerfile":       "ARG LOWER\nFROM $LOWER\nCOPY upper.Dockerfile /upper\n",
		".helm/templates/a.yaml": podOf("{{ .Values.werf.image.upper }}", "a"),
	})
}

const (
	cacheKeys = 5 + 1 // two platforms, their index, two images; the chart
	cacheTags = cacheKeys + 2
)

// cache fills a repository: keys, a bundle's tag, an exported one.
func cache(t *testing.T, repo *testenv.Repo, registry *testenv.RegistryServer) (ref string) {
	t.Helper()
	cli, ref := testenv.Slipway(t), registry.Host+"/app"
	cli.Run(repo.Dir, nil, "bundle", "publish", "--repo", ref, "--tag", "1.0.0").Must(t)
	cli.Run(repo.Dir, nil, "export", "upper", "--repo", ref, "--tag", ref+":latest").Must(t)
	if tags := keyTags(registry, "app"); len(tags) != cacheTags {
		t.Fatalf("the repository has the tags %v", tags)
	}
	return ref
}

// sameKeys checks that a repository has the keys of another, and nothing else.
func sameKeys(t *testing.T, from, to *testenv.RegistryServer) {
	t.Helper()
	tags := to.Tags("app")
	if len(tags) != cacheKeys {
		t.Errorf("it has the tags %v", tags)
	}
	for _, tag := range tags {
		if want, got := from.Digest("app:"+tag), to.Digest("app:"+tag); want == "" || got != want {
			t.Errorf("%s is %q there, %q in the source", tag, got, want)
		}
	}
}

// A cache goes through archives and a layout into a registry that has never seen
// any of it: there, nothing is left to be built.
func TestCopiedCache(t *testing.T) {
	t.Parallel()
	first := testenv.Registry(t)
	repo := cacheProject(t)
	ref := cache(t, repo, first)
	cli, dir := testenv.Slipway(t), t.TempDir()
	copied := func(from, to string, more ...string) testenv.Result {
		t.Helper()
		return cli.Run(dir, nil, append([]string{"stages", "copy", "--from", from, "--to", to}, more...)...).Must(t)
	}
	packed, plain := filepath.Join(dir, "cache.tar.zst"), filepath.Join(dir, "cache.tar")
	copied(ref, "archive:"+packed)
	copied("archive:"+packed, "archive:"+plain)
	copied("archive:"+plain, "oci:"+filepath.Join(dir, "layout"))
	second, third := testenv.Registry(t), testenv.Registry(t)
	if r := copied("archive:"+packed, second.Host+"/app"); !strings.Contains(r.Stderr, fmt.Sprintf("%d keys were copied, 0 were there", cacheKeys)) {
		t.Errorf("%s", r.Stderr)
	}
	copied("oci:"+filepath.Join(dir, "layout"), third.Host+"/app")
	direct := testenv.Registry(t)
	copied(ref, direct.Host+"/app")
	for _, there := range []*testenv.RegistryServer{second, third, direct} {
		sameKeys(t, first, there)
		there.Reset()
		fresh := testenv.Slipway(t)
		fresh.Run(repo.Dir, nil, "build", "-Z", "--repo", there.Host+"/app").Must(t)
		fresh.Run(repo.Dir, nil, "build", "-Z", "--platform", "linux/arm64", "--repo", there.Host+"/app", "multi").Must(t)
		if w := there.Writes(); len(w) > 0 {
			t.Errorf("a build writes %v", w)
		}
	}
	// Other tools find a key in the archive, with all platforms.
	key := ""
	for _, image := range planned(t, cli, repo).Images {
		if image.Name == "multi" {
			key = image.Key
		}
	}
	tool := *cli
	tool.Path = testenv.Tool(t, "skopeo")
	tool.Run(dir, nil, "--insecure-policy", "copy", "--all", "--preserve-digests", "oci-archive:"+plain+":"+key, "oci:skopeo:v1").Must(t)

	// The second time there is nothing to do: no write, no new file.
	before, err := os.Stat(packed)
	if err != nil {
		t.Fatal(err)
	}
	second.Reset()
	for _, r := range []testenv.Result{copied("archive:"+packed, second.Host+"/app"), copied(ref, second.Host+"/app"), copied(ref, "archive:"+packed)} {
		if !strings.Contains(r.Stderr, "Nothing to do") {
			t.Errorf("%s", r.Stderr)
		}
	}
	after, err := os.Stat(packed)
	if w := second.Writes(); len(w) > 0 || err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("writes: %v, the archive is another: %v", w, err)
	}
}

// With --all=false, the keys of the commit are copied, after being built.
func TestCopyOfACommit(t *testing.T) {
	t.Parallel()
	first, second, third := testenv.Registry(t), testenv.Registry(t), testenv.Registry(t)
	repo := cacheProject(t)
	old := cache(t, repo, first)
	repo.Write("upper.Dockerfile", fileOf(t, repo, "upper.Dockerfile")+"LABEL a=b\n")
	repo.Commit("another upper")
	cli := testenv.Slipway(t)
	args := func(from, to string, more ...string) []string {
		return append([]string{"stages", "copy", "--all=false", "--from", from, "--to", to}, more...)
	}
	if r := cli.Run(repo.Dir, nil, args(old, second.Host+"/app", "-Z")...); r.Code != 1 || !strings.Contains(r.Stderr, `image "upper" is not built`) {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	file := "archive:" + filepath.Join(t.TempDir(), "commit.tar")
	cli.Run(repo.Dir, nil, args(old, file)...).Must(t)
	cli.Run(repo.Dir, nil, args(old, second.Host+"/app")...).Must(t)
	cli.Run(repo.Dir, nil, args(file, third.Host+"/app")...).Must(t)
	want := map[string]bool{}
	for _, image := range planned(t, cli, repo).Images {
		want[image.Key] = true
	}
	for _, there := range []*testenv.RegistryServer{second, third} {
		tags := there.Tags("app")
		for key := range want {
			if !slices.Contains(tags, key) {
				t.Errorf("the key %s is not in %v", key, tags)
			}
		}
		if len(tags) != cacheKeys-1 {
			t.Errorf("there are the tags %v", tags)
		}
		first.Reset()
		there.Reset()
		cli.Run(repo.Dir, nil, args(old, there.Host+"/app")...).Must(t)
		if n := len(there.Log()); n != cacheKeys-1 || len(first.Log()) != 0 || len(there.Writes()) != 0 {
			t.Errorf("nothing to do: %d requests there, %d to the source, %d writes", n, len(first.Log()), len(there.Writes()))
		}
	}
	repo.Write("lower.Dockerfile", "FROM scratch\nCOPY werf.yaml /\n")
	repo.Commit("not in the archive")
	if r := cli.Run(repo.Dir, nil, args(file, third.Host+"/app")...); r.Code != 1 || !strings.Contains(r.Stderr, "copy lower") || !strings.Contains(r.Stderr, "not found") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

// Tags are listed in pages, however small; a copy that is killed leaves no key
// before what it names, and the next one sends no blob again.
func TestKilledStagesCopy(t *testing.T) {
	t.Parallel()
	var pages atomic.Int32
	first := testenv.Registry(t, testenv.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if q := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/tags/list") {
			pages.Add(1)
			q.Set("n", "2")
			r.URL.RawQuery = q.Encode()
		}
		return false
	}))
	ref := cache(t, cacheProject(t), first)
	pages.Store(0)
	for _, after := range []int32{1, 8, 16, 24, 32, 40} {
		ctx, kill := context.WithCancel(t.Context())
		var seen atomic.Int32
		site := testenv.Registry(t, testenv.Intercept(func(http.ResponseWriter, *http.Request) bool {
			if seen.Add(1) == after {
				kill()
			}
			return false
		}))
		cli := testenv.Slipway(t)
		args := []string{"stages", "copy", "--from", ref, "--to", site.Host + "/app"}
		err := exec.CommandContext(ctx, cli.Path, args...).Run()
		if ctx.Err() == nil {
			t.Fatalf("the copy ended after %d requests: %v", seen.Load(), err)
		}
		if tags := site.Tags("app"); len(tags) > 0 {
			there := repository(t, site.Host+"/app")
			for _, desc := range everything(t, there, tags...) {
				if exists, err := there.Exists(t.Context(), desc); err != nil || !exists {
					t.Errorf("killed after %d requests: %s is not there: %v", after, desc.Digest, err)
				}
			}
		}
		cli.Run(t.TempDir(), nil, args...).Must(t)
		sameKeys(t, first, site)
		sent := map[string]int{}
		for _, r := range site.Log() {
			if r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/") && r.Status == http.StatusCreated {
				sent[r.Query[strings.Index(r.Query, "digest="):]]++
			}
		}
		for d, n := range sent {
			if n > 1 {
				t.Errorf("killed after %d requests: %s was sent %d times", after, d, n)
			}
		}
		if len(sent) == 0 {
			t.Error("no blob was sent")
		}
		kill()
	}
	if n := pages.Load(); n < 6*cacheTags/2 {
		t.Errorf("%d pages were asked for", n)
	}
}

func TestRefusedStagesCopy(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	registry.PushImage("app:v1", smallBase(t))
	dir := t.TempDir()
	legacy, err := os.Create(filepath.Join(dir, "legacy.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(legacy)
	z.Comment = "stage-archive"
	if _, err := z.Write(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil || legacy.Close() != nil {
		t.Fatal(err)
	}
	here := registry.Host + "/app"
	for name, c := range map[string]struct {
		from, to string
		code     int
		want     string
	}{
		"archive of werf":  {"archive:legacy.tar.gz", registry.Host + "/x", 2, "stage-archive of werf"},
		"no keys":          {here, registry.Host + "/x", 1, "64 hexadecimal digits"},
		"no keys, archive": {here, "archive:x.tar", 1, "64 hexadecimal digits"},
		"no repository":    {registry.Host + "/absent", registry.Host + "/x", 1, "list the tags of " + registry.Host + "/absent"},
		"the same":         {here, here, 2, "the same"},
		"the same file":    {"archive:a.tar", "archive:./a.tar", 2, "the same"},
		"a tag":            {here + ":v1", registry.Host + "/x", 2, "write " + here},
		"no source":        {"", here, 2, "--from is missing"},
		"no destination":   {here, "", 2, "--to is missing"},
		"no file name":     {"archive:", here, 2, "no file name"},
		"no file":          {"archive:absent.tar", here, 1, "absent.tar"},
		"no name at all":   {"app", here, 2, "archive:FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Slipway(t).Run(dir, nil, "stages", "copy", "--from", c.from, "--to", c.to)
			if r.Code != c.code || !strings.Contains(r.Stderr, c.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", r.Code, c.code, c.want, r.Stderr)
			}
		})
	}
	if tags := registry.Tags("x"); len(tags) > 0 {
		t.Errorf("something was copied: %v", tags)
	}
}
