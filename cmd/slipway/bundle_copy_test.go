package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/bundles"
	"slipway/cmd/internal/testenv"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// fleet publishes a bundle of every kind of image: a nameless one for two
// platforms, a sub-chart with its own, one of somebody else. It returns the
// bundle's reference.
func fleet(t *testing.T, host string) string {
	t.Helper()
	for ref, text := range map[string]string{"library/base:latest": "base", "library/proxy:1.27": "proxy"} {
		img := testenv.TreeImage(t, nil, map[string]string{"etc/" + text: text}, nil)
		tag, err := name.ParseReference(host+"/"+ref, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, img); err != nil {
			t.Fatal(err)
		}
	}
	mirror := []string{"--container-registry-mirror", "http://" + host}
	cli := testenv.Slipway(t)
	sub := testenv.GitRepo(t, map[string]string{
		"werf.yaml":                "project: sub\nconfigVersion: 1\n---\nimage: worker\ndockerfile: Dockerfile\n",
		"Dockerfile":               "FROM base\nCOPY Dockerfile /sub\n",
		".helm/templates/a.yaml":   podOf("{{ .Values.werf.image.worker }}", "sub"),
		".helm/values.schema.json": `{"type": "object"}`,
	})
	subRef := host + "/parts/sub"
	cli.Run(sub.Dir, nil, append([]string{"bundle", "publish", "--repo", subRef, "--tag", "0.1.0"}, mirror...)...).Must(t)
	dir := t.TempDir()
	helm(t, cli, t.TempDir(), "pull", "--plain-http", "oci://"+subRef, "--version", "0.1.0", "-d", dir)
	packed, err := os.ReadFile(filepath.Join(dir, "sub-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	project := testenv.GitRepo(t, map[string]string{
		"werf.yaml":                  "project: fleet\nconfigVersion: 1\nbuild: {platform: [linux/amd64, linux/arm64]}\n---\nimage: ~\ndockerfile: Dockerfile\n",
		"Dockerfile":                 "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /fleet-$TARGETARCH\n",
		".helm/Chart.yaml":           "apiVersion: v2\nname: fleet\nversion: 0.1.0\ndependencies:\n- {name: sub, version: 0.1.0}\n",
		".helm/charts/sub-0.1.0.tgz": string(packed),
		".helm/values.yaml":          "proxy:\n  image: proxy:1.27 # somebody else's\n",
		".helm/templates/a.yaml":     podOf("{{ .Values.werf.nameless_image }}", "fleet") + "---\n" + podOf("{{ .Values.proxy.image }}", "proxy"),
	})
	cli.Run(project.Dir, nil, append([]string{"bundle", "publish", "--repo", host + "/fleet", "--tag", "1.0.0"}, mirror...)...).Must(t)
	return host + "/fleet:1.0.0"
}

func podOf(image, name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  containers:\n  - name: a\n    image: " + image + "\n"
}

func inspect(t *testing.T, ref string, args ...string) bundles.Contents {
	t.Helper()
	r := testenv.Slipway(t).Run(t.TempDir(), nil, append([]string{"bundle", "inspect", "-o", "json", ref}, args...)...).Must(t)
	var c bundles.Contents
	if err := json.Unmarshal([]byte(r.Stdout), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// digests are what images of a bundle are, whatever they are called.
func digests(c bundles.Contents) (out []string) {
	for _, i := range c.Images {
		out = append(out, i.Kind+" "+i.Chart+" "+i.Name+" "+i.Digest)
		for _, p := range i.Platforms {
			out = append(out, "  "+p.Platform+" "+p.Digest)
		}
	}
	return out
}

// A bundle goes through an archive into a registry that has never seen any of it,
// when the first one is gone: everything is there, with the digests that it had.
func TestBundleThroughAnArchive(t *testing.T) {
	t.Parallel()
	first, stopFirst := testenv.RegistryProcess(t, t.TempDir())
	ref := fleet(t, first)
	cli, dir := testenv.Slipway(t), t.TempDir()
	mirror := []string{"--container-registry-mirror", "http://" + first}
	file := "archive:" + filepath.Join(dir, "fleet.tar.zst")
	second, _ := testenv.RegistryProcess(t, t.TempDir())
	direct, _ := testenv.RegistryProcess(t, t.TempDir())

	cli.Run(dir, nil, append([]string{"bundle", "copy", "--from", ref, "--to", file, "--with-external-images"}, mirror...)...).Must(t)
	cli.Run(dir, nil, append([]string{"bundle", "copy", "--from", ref, "--to", direct + "/moved/fleet:2.0.0", "--with-external-images"}, mirror...)...).Must(t)
	before := inspect(t, file)
	source := inspect(t, ref, mirror...)
	stopFirst()
	cli.Run(dir, nil, "bundle", "verify", file).Must(t)
	there := second + "/moved/fleet:2.0.0"
	cli.Run(dir, nil, "bundle", "copy", "--from", file, "--to", there).Must(t)

	after := inspect(t, there)
	if len(after.Images) != 3 || !slices.Equal(digests(before), digests(after)) {
		t.Errorf("in the archive:\n%s\nin the registry:\n%s", strings.Join(digests(before), "\n"), strings.Join(digests(after), "\n"))
	}
	// The source has the same but for the external image, which it does not record.
	if want := digests(after)[:len(digests(source))]; !slices.Equal(digests(source), want) {
		t.Errorf("in the source:\n%s", strings.Join(digests(source), "\n"))
	}
	if platforms := after.Images[0].Platforms; len(platforms) != 2 {
		t.Errorf("the nameless image has the platforms %v", platforms)
	}
	for _, image := range after.Images {
		if !strings.HasPrefix(image.Ref, second+"/moved/fleet:") {
			t.Errorf("%s is named at %s", image.Name, image.Ref)
		}
	}
	if after.Name != "fleet" || after.Version != "2.0.0" {
		t.Errorf("the chart is %s %s", after.Name, after.Version)
	}
	out := cli.Run(dir, nil, "bundle", "verify", there).Must(t)
	if !strings.Contains(out.Stdout, "is whole: 3 images") || strings.Contains(out.Stderr, "note:") {
		t.Errorf("verify says %s%s", out.Stdout, out.Stderr)
	}
	// Helm sees it, and names nothing but what is in the new place.
	rendered := helm(t, cli, t.TempDir(), "template", "--plain-http", "r", "oci://"+second+"/moved/fleet", "--version", "2.0.0")
	if n := strings.Count(rendered, "image: "+second+"/moved/fleet:"); n != 3 || strings.Contains(rendered, first) {
		t.Errorf("%d images are in the new place:\n%s", n, rendered)
	}
	// The way does not show in what arrives.
	if straight := inspect(t, direct+"/moved/fleet:2.0.0"); !slices.Equal(digests(straight), digests(after)) {
		t.Errorf("straight from the first registry:\n%s", strings.Join(digests(straight), "\n"))
	}
	// A second copy has nothing to write.
	again := cli.Run(dir, nil, "bundle", "copy", "--from", file, "--to", there).Must(t)
	if !strings.Contains(again.Stderr, " 0 of them writes") {
		t.Errorf("the second copy says %s", again.Stderr)
	}
}
