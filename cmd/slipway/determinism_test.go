package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// Two clones of one commit at different paths, on machines that know nothing of
// each other, publish the same images, charts and bundles, byte for byte.
func TestTwoClonesPublishTheSame(t *testing.T) {
	t.Parallel()
	base := busyRegistry(t)
	origin := testenv.GitRepo(t, map[string]string{
		"werf.yaml":       "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile":      "FROM busybox\nCOPY . /src\nRUN mkdir /made && date >/dev/null && echo x >/made/file && ln -s file /made/link\n",
		"file with space": "content", "ünïcode/файл": "content",
		".helm/templates/app.yaml": strings.ReplaceAll(deployment, "myapp", "app"),
	})
	if err := os.Symlink("../file with space", origin.Path("ünïcode/link")); err != nil {
		t.Fatal(err)
	}
	origin.Commit("a link")
	var indexes, digests []string
	for _, place := range []string{"a", "somewhere/else entirely"} {
		clone := origin.Clone(filepath.Join(t.TempDir(), place))
		cli, registry := testenv.Slipway(t), testenv.Registry(t)
		mirror := "http://" + base.Host
		// To the machine's own layout, whose place is not in what is published.
		cli.Run(clone.Dir, nil, "bundle", "publish", "--container-registry-mirror", mirror).Must(t)
		index, err := os.ReadFile(filepath.Join(cli.Home, "state/slipway/repos/app/index.json"))
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, string(index))
		// By BuildKit's own push, to a registry, from yet another machine.
		testenv.Slipway(t).Run(clone.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/out:v1", "--container-registry-mirror", mirror).Must(t)
		digests = append(digests, registry.Digest("out:v1"))
	}
	if indexes[0] != indexes[1] {
		t.Errorf("the layouts differ:\n%s\n%s", indexes[0], indexes[1])
	}
	if digests[0] != digests[1] || !strings.Contains(indexes[0], digests[0]) {
		t.Errorf("the image is %s and %s, in the layout\n%s", digests[0], digests[1], indexes[0])
	}
}

// A layout is a repository that other tools can read.
func TestLayoutIsARepository(t *testing.T) {
	t.Parallel()
	base, repo, cli := busyRegistry(t), testenv.GitRepo(t, busyApp("true")), testenv.Slipway(t)
	repo.Write(".helm/templates/app.yaml", strings.ReplaceAll(deployment, "myapp", "app"))
	repo.Commit("a chart")
	mirror := "http://" + base.Host
	out := filepath.Join(t.TempDir(), "out")
	r := cli.Run(repo.Dir, nil, "export", "app", "--tag", "oci:"+out+":v1", "--add-label", "a=b", "--container-registry-mirror", mirror).Must(t)
	if r.Stdout != "oci:"+out+":v1\n" {
		t.Errorf("published %q", r.Stdout)
	}
	if r := testenv.RunImage(t, "oci:"+out+":v1", "cat", "/etc/passwd").Must(t); !strings.Contains(r.Stdout, "root") {
		t.Errorf("the image says %q", r.Stdout)
	}
	skopeo := *cli
	skopeo.Path = testenv.Tool(t, "skopeo")
	var image struct{ Labels map[string]string }
	if err := json.Unmarshal([]byte(skopeo.Run(repo.Dir, nil, "inspect", "oci:"+out+":v1").Must(t).Stdout), &image); err != nil || image.Labels["a"] != "b" {
		t.Errorf("labels %v (%v), want a=b", image.Labels, err)
	}
	// The same layout takes the bundle, and finds all again.
	args := []string{"bundle", "publish", "--repo", "oci:" + out, "--tag", "1.0.0", "--container-registry-mirror", mirror}
	cli.Run(repo.Dir, nil, args...).Must(t)
	before, err := os.ReadFile(filepath.Join(out, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r := cli.Run(repo.Dir, nil, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("the second run:\n%s", r.Stderr)
	}
	if after, err := os.ReadFile(filepath.Join(out, "index.json")); err != nil || string(after) != string(before) {
		t.Errorf("a run with nothing to do changed index.json (%v)", err)
	}
	if strings.Contains(string(before), out) {
		t.Error("the layout names its own place")
	}
}
