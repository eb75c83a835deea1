package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// One build per platform and an index over them, a key tag for each.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		// The RUN is on the builder's platform: cross-building needs no emulation.
		"Dockerfile": "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETARCH\nRUN echo for $TARGETARCH >/out\n" +
			"FROM scratch\nCOPY --from=build /out /out\n",
	})
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/out:v1",
		"--platform", "linux/amd64,linux/arm64", "--container-registry-mirror", "http://" + registry.Host}
	cli := testenv.Slipway(t)
	cli.Run(repo.Dir, nil, args...).Must(t)
	images := planned(t, cli, repo, "--platform", "linux/amd64,linux/arm64").Images
	if len(images) != 3 || images[0].Platform != "" || images[1].Platform != "linux/amd64" || images[2].Platform != "linux/arm64" {
		t.Fatalf("plan %+v", images)
	}
	if d := registry.Digest("app:" + images[0].Key); d == "" || d != registry.Digest("out:v1") {
		t.Errorf("the index is %q, published is %q", d, registry.Digest("out:v1"))
	}
	index := indexOf(t, registry, "out:v1")
	for i, want := range []string{"linux/amd64", "linux/arm64"} {
		m := index.Manifests[i]
		if m.Platform.String() != want || m.Digest.String() != registry.Digest("app:"+images[i+1].Key) {
			t.Errorf("entry %d is %s for %s, want that of the key tag for %s", i, m.Digest, m.Platform, want)
		}
	}
	registry.Reset()
	r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
	if len(registry.Writes()) > 0 || len(registry.Log()) > 2 || !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("the second run: %v\n%s", registry.Log(), r.Stderr)
	}
	// One platform's key is the same alone and in company.
	if alone := planned(t, cli, repo, "--platform", "linux/arm64").Images; len(alone) != 1 || alone[0].Key != images[2].Key {
		t.Errorf("alone %+v, in company %+v", alone, images[2])
	}
}

// A RUN for a platform that the machine cannot run is an error that says what to
// install, before anything is pulled.
func TestEmulationIsAbsent(t *testing.T) {
	testenv.NoEmulation(t, "loongarch64")
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\nplatform: [linux/loong64]\n",
		"Dockerfile": "FROM scratch\nRUN [\"/true\"]\n",
	})
	r := testenv.Slipway(t).Run(repo.Dir, nil, "build")
	if r.Code != 1 || !strings.Contains(r.Stderr, "linux/loong64 needs emulation") || !strings.Contains(r.Stderr, "qemu-user-static") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// With emulation a RUN for another platform runs there: the program says so.
func TestEmulation(t *testing.T) {
	testenv.EmulateARM64(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\nplatform: [linux/arm64]\n",
		"Dockerfile": "FROM scratch\nCOPY say /\nRUN [\"/say\"]\n",
		"say.go":     "package main\n\nimport (\n\t\"os\"\n\t\"runtime\"\n)\n\nfunc main() {\n\tif os.WriteFile(\"/out\", []byte(runtime.GOARCH), 0o644) != nil {\n\t\tos.Exit(1)\n\t}\n}\n",
	})
	compile := exec.CommandContext(t.Context(), "go", "build", "-o", "say", "say.go")
	compile.Dir, compile.Env = repo.Dir, append(os.Environ(), "GOARCH=arm64", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	repo.Commit("a program for arm64")
	registry := testenv.Registry(t)
	testenv.Slipway(t).Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/out:v1").Must(t)
	img := registry.Image("out:v1")
	if out := imageFiles(t, img)["out"].content; out != "arm64" {
		t.Errorf("the program ran on %q", out)
	}
	if config, err := img.ConfigFile(); err != nil || config.Architecture != "arm64" {
		t.Errorf("%v: %+v", err, config)
	}
}

func indexOf(t *testing.T, registry *testenv.RegistryServer, ref string) v1.IndexManifest {
	t.Helper()
	r, err := name.ParseReference(registry.Host+"/"+ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Get(r)
	if err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(d.Manifest, &index); err != nil || len(index.Manifests) != 2 {
		t.Fatalf("%v in %s", err, d.Manifest)
	}
	return index
}
