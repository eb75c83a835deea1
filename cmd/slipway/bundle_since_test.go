package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/cmd/internal/testenv"
	"slipway/oci"
	ociarchive "slipway/oci/archive"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// tenImages is a project of ten images over one base, and the reference that it
// is published under.
func tenImages(t *testing.T, registry *testenv.RegistryServer) (repo *testenv.Repo, publish func(tag string) (ref string)) {
	files := map[string]string{
		"werf.yaml":              "project: ten\nconfigVersion: 1\n",
		".helm/templates/a.yaml": podOf("{{ .Values.werf.image.i0 }}", "a"),
	}
	for i := range 10 {
		name := fmt.Sprintf("i%d", i)
		files["werf.yaml"] += "---\nimage: " + name + "\ncontext: " + name + "\ndockerfile: Dockerfile\n"
		files[name+"/Dockerfile"] = "FROM base\nCOPY data /data\nCOPY more /more\n"
		files[name+"/data"], files[name+"/more"] = name, "more of "+name
	}
	repo = testenv.GitRepo(t, files)
	cli := testenv.Slipway(t)
	return repo, func(tag string) string {
		t.Helper()
		cli.Run(repo.Dir, nil, "bundle", "publish", "--repo", registry.Host+"/ten", "--tag", tag, "--container-registry-mirror", "http://"+registry.Host).Must(t)
		return registry.Host + "/ten:" + tag
	}
}

// everything is what a repository holds under some manifests, by digest.
func everything(t *testing.T, repo oci.Repository, tags ...string) map[digest.Digest]ocispec.Descriptor {
	t.Helper()
	all := map[digest.Digest]ocispec.Descriptor{}
	var add func(desc ocispec.Descriptor)
	add = func(desc ocispec.Descriptor) {
		all[desc.Digest] = desc
		next, err := content.Successors(t.Context(), repo, desc)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range next {
			add(d)
		}
	}
	for _, tag := range tags {
		desc, err := repo.Resolve(t.Context(), tag)
		if err != nil {
			t.Fatal(err)
		}
		add(desc)
	}
	return all
}

func repository(t *testing.T, ref string) oci.Repository {
	t.Helper()
	session, err := oci.NewSession(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := oci.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := session.Repository(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// An update for a site that has the bundle before holds what is new, and nothing
// else.
func TestArchiveOfAnUpdate(t *testing.T) {
	t.Parallel()
	registry, site := shopRegistry(t), testenv.Registry(t)
	repo, publish := tenImages(t, registry)
	old := publish("1.0.0")
	cli, dir := testenv.Slipway(t), t.TempDir()
	first, update := "archive:"+filepath.Join(dir, "first.tar"), "archive:"+filepath.Join(dir, "update.tar")
	cli.Run(dir, nil, "bundle", "copy", "--from", old, "--to", first).Must(t)
	cli.Run(dir, nil, "bundle", "copy", "--from", first, "--to", site.Host+"/ten:1.0.0").Must(t)

	repo.Write("i3/more", "something else")
	repo.Commit("change a layer")
	now := publish("2.0.0")
	cli.Run(dir, nil, "bundle", "copy", "--from", now, "--to", update, "--since", site.Host+"/ten:1.0.0").Must(t)
	again := "archive:" + filepath.Join(dir, "again.tar")
	cli.Run(dir, nil, "bundle", "copy", "--from", now, "--to", again, "--since", first).Must(t)

	r, err := ociarchive.Open(t.Context(), filepath.Join(dir, "update.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	from := repository(t, registry.Host+"/ten")
	tags := []string{"2.0.0"}
	for _, image := range inspect(t, now).Images {
		tags = append(tags, image.Digest)
	}
	var blobs []string
	for d, desc := range everything(t, from, tags...) {
		if has := r.Has(d); has && !oci.IsManifest(desc) {
			blobs = append(blobs, desc.MediaType)
		} else if !has && oci.IsManifest(desc) {
			t.Errorf("the manifest %s is not in the update", d)
		}
	}
	slices.Sort(blobs)
	want := []string{ // of the changed image its layer and config; the chart, which names it
		oci.MediaTypeHelmChart, oci.MediaTypeHelmConfig,
		ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip,
	}
	if !slices.Equal(blobs, want) {
		t.Errorf("the update holds\n  %s\nwant\n  %s", strings.Join(blobs, "\n  "), strings.Join(want, "\n  "))
	}
	a, _ := os.ReadFile(filepath.Join(dir, "update.tar"))
	b, _ := os.ReadFile(filepath.Join(dir, "again.tar"))
	if len(a) == 0 || string(a) != string(b) {
		t.Error("since the archive is another file than since the registry that it was copied to")
	}

	cli.Run(dir, nil, "bundle", "copy", "--from", update, "--to", site.Host+"/ten:2.0.0").Must(t)
	cli.Run(dir, nil, "bundle", "verify", site.Host+"/ten:2.0.0").Must(t)
	refused := cli.Run(dir, nil, "bundle", "copy", "--from", update, "--to", site.Host+"/elsewhere:2.0.0")
	if refused.Code != 1 || !strings.Contains(refused.Stderr, "made with --since") || site.Digest("elsewhere:2.0.0") != "" {
		t.Errorf("exit code %d, %s", refused.Code, refused.Stderr)
	}
	if r := cli.Run(dir, nil, "bundle", "copy", "--from", now, "--to", site.Host+"/x:1", "--since", old); r.Code != 2 {
		t.Errorf("--since for a registry: exit code %d", r.Code)
	}
}

// A copy that is killed, wherever, is finished by the next, which sends no blob
// again that had arrived.
func TestKilledCopy(t *testing.T) {
	t.Parallel()
	registry := shopRegistry(t)
	_, publish := tenImages(t, registry)
	ref := publish("1.0.0")
	random := rand.New(rand.NewPCG(1, 2)) // the same points in every run
	for range 10 {
		after := 1 + random.IntN(60)
		t.Run(fmt.Sprintf("after %d requests", after), func(t *testing.T) {
			t.Parallel()
			ctx, kill := context.WithCancel(t.Context())
			var seen atomic.Int32
			site := testenv.Registry(t, testenv.Intercept(func(http.ResponseWriter, *http.Request) bool {
				if seen.Add(1) == int32(after) {
					kill()
				}
				return false
			}))
			cli, to := testenv.Slipway(t), site.Host+"/ten:1.0.0"
			args := []string{"bundle", "copy", "--from", ref, "--to", to}
			err := exec.CommandContext(ctx, cli.Path, args...).Run() // killed, not asked
			if ctx.Err() == nil {
				t.Fatalf("the copy ended after %d requests: %v", seen.Load(), err)
			}
			if site.Digest("ten:1.0.0") != "" {
				cli.Run(t.TempDir(), nil, "bundle", "verify", to).Must(t)
			}
			cli.Run(t.TempDir(), nil, args...).Must(t)
			cli.Run(t.TempDir(), nil, "bundle", "verify", to).Must(t)
			sent := map[string]int{}
			for _, r := range site.Log() {
				if r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/") && r.Status == http.StatusCreated {
					sent[r.Query[strings.Index(r.Query, "digest="):]]++
				}
			}
			for d, n := range sent {
				if n > 1 {
					t.Errorf("%s was sent %d times", d, n)
				}
			}
			if len(sent) == 0 {
				t.Error("no blob was sent")
			}
		})
	}
}

// The same for a copy into a file: its bytes are those of a copy that was not
// killed.
func TestKilledArchive(t *testing.T) {
	t.Parallel()
	var kill atomic.Pointer[context.CancelFunc]
	var left atomic.Int32
	registry := shopRegistry(t, testenv.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if stop := kill.Load(); stop != nil && left.Add(-1) == 0 {
			(*stop)()
		}
		return false
	}))
	_, publish := tenImages(t, registry)
	ref := publish("1.0.0")
	cli, dir := testenv.Slipway(t), t.TempDir()
	whole := filepath.Join(dir, "whole.tar.zst")
	cli.Run(dir, nil, "bundle", "copy", "--from", ref, "--to", "archive:"+whole).Must(t)
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "cut.tar.zst")
	for _, after := range []int32{3, 20, 30, 38, 45} {
		ctx, stop := context.WithCancel(t.Context())
		left.Store(after)
		kill.Store(&stop)
		err := exec.CommandContext(ctx, cli.Path, "bundle", "copy", "--from", ref, "--to", "archive:"+file).Run()
		kill.Store(nil)
		if ctx.Err() == nil {
			t.Fatalf("not killed after %d requests: %v", after, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("killed after %d requests, and the file is there", after)
		}
	}
	cli.Run(dir, nil, "bundle", "copy", "--from", ref, "--to", "archive:"+file).Must(t)
	got, err := os.ReadFile(file)
	if err != nil || string(got) != string(want) {
		t.Errorf("%d bytes after being killed, %d else: %v", len(got), len(want), err)
	}
	left2, _ := filepath.Glob(file + ".*")
	if len(left2) > 0 {
		t.Errorf("left behind: %v", left2)
	}
}
