package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// dockerImage is an image as Docker's older tools push it: with the media types
// of the image manifest version 2, schema 2.
func dockerImage(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	out := empty.Image // Docker's media types, for manifest and config
	for _, l := range layers {
		if out, err = mutate.Append(out, mutate.Addendum{Layer: l, MediaType: types.DockerLayer}); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = mutate.ConfigFile(out, config); err != nil {
		t.Fatal(err)
	}
	if mt, err := out.MediaType(); err != nil || mt != types.DockerManifestSchema2 {
		t.Fatalf("the test's image is %s (%v)", mt, err)
	}
	return out
}

// pushIndex pushes an index of the image, and of another platform's, which is
// not to be taken.
func pushIndex(t *testing.T, registry *testenv.RegistryServer, ref string, kind types.MediaType, img v1.Image) string {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	wrong := testenv.TreeImage(t, nil, map[string]string{"etc/wrong": "of another platform\n"}, nil)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, kind),
		mutate.IndexAddendum{Add: wrong, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: config.Architecture}}},
	)
	to, err := name.ParseReference(registry.Host+"/"+ref, name.Insecure)
	if err == nil {
		err = remote.WriteIndex(to, index)
	}
	if err != nil {
		t.Fatalf("pushing an index: %v", err)
	}
	return registry.Digest(ref)
}

// Bases of every form: how they are named, and what they are. What is published
// is an OCI image with the base's layers, config and all.
func TestBases(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	oci := testenv.TreeImage(t, nil, map[string]string{"etc/base": "base\n"}, func(c *v1.Config) {
		c.Env, c.WorkingDir, c.Cmd = []string{"PATH=/base/bin", "FROM_BASE=yes"}, "/work", []string{"from", "base"}
	})
	docker := dockerImage(t, oci)
	registry.PushImage("library/base:latest", oci)
	registry.PushImage("library/base:2", oci)
	registry.PushImage("my/base:3", oci)
	registry.PushImage("docker:1", docker)
	ociDigest, dockerDigest := registry.Digest("library/base:latest"), registry.Digest("docker:1")
	list := pushIndex(t, registry, "list:1", types.DockerManifestList, docker)
	index := pushIndex(t, registry, "library/index:latest", types.OCIImageIndex, oci)

	bases := map[string]string{
		"name":           "base",
		"tag":            "base:2",
		"docker.io":      "docker.io/library/base:2",
		"digest":         "base@" + ociDigest,
		"tag-digest":     "base:2@" + ociDigest,
		"full":           registry.Host + "/my/base:3",
		"full-digest":    registry.Host + "/library/base@" + ociDigest,
		"index":          "index",
		"index-digest":   "index@" + index,
		"schema2":        registry.Host + "/docker:1",
		"schema2-digest": registry.Host + "/docker@" + dockerDigest,
		"list":           registry.Host + "/list:1",
		"list-digest":    registry.Host + "/list@" + list,
	}
	files := map[string]string{"werf.yaml": "project: app\nconfigVersion: 1\n", "file": "content\n"}
	for _, kind := range slices.Sorted(maps.Keys(bases)) {
		files["werf.yaml"] += "---\nimage: " + kind + "\ndockerfile: " + kind + ".Dockerfile\n"
		files[kind+".Dockerfile"] = "FROM " + bases[kind] + "\nCOPY file here\nENV MINE=\"$FROM_BASE too\"\n"
	}
	repo := testenv.GitRepo(t, files)
	testenv.Slipway(t).Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/out:%image%",
		"--container-registry-mirror", "http://"+registry.Host).Must(t)
	// One name, in short and in full, is one key; any other name is another.
	if n := len(keyTags(registry, "app")); n != len(bases)-1 {
		t.Errorf("%d keys for %d bases", n, len(bases))
	}
	baseLayers, err := oci.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for kind := range bases {
		t.Run(kind, func(t *testing.T) {
			// However a base is named and packed, its content makes the image.
			if d, byName := registry.Digest("out:"+kind), registry.Digest("out:name"); d != byName {
				t.Errorf("the image is %s, with the base by name it is %s", d, byName)
			}
			img := registry.Image("out:" + kind)
			checkOCI(t, img)
			checkLayers(t, img, baseLayers)
			files := imageFiles(t, img)
			if files["etc/base"].content != "base\n" || files["work/here"].content != "content\n" {
				t.Errorf("the files are %v", files)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if env := strings.Join(config.Config.Env, " "); env != "PATH=/base/bin FROM_BASE=yes MINE=yes too" || len(config.Config.Cmd) != 2 || config.Config.WorkingDir != "/work" {
				t.Errorf("config %+v", config.Config)
			}
		})
	}
}

// checkOCI checks that no media type of Docker's own is left in an image.
func checkOCI(t *testing.T, img v1.Image) {
	t.Helper()
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON {
		t.Errorf("media types %s and %s, want OCI's", manifest.MediaType, manifest.Config.MediaType)
	}
	for i, l := range manifest.Layers {
		if l.MediaType != types.OCILayer {
			t.Errorf("layer %d has the media type %s, want OCI's", i, l.MediaType)
		}
	}
}

// Images without a base, down to one with nothing in it, need no registry for it.
func TestScratch(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	cases := map[string]struct {
		dockerfile string
		files      []string
	}{
		"files":       {"FROM scratch\nCOPY file /a/b\n", []string{"a/", "a/b"}},
		"two stages":  {"FROM scratch AS one\nCOPY file /\nFROM scratch\nCOPY --from=one /file /two\n", []string{"two"}},
		"config only": {"FROM scratch\nLABEL a=b\nCMD [\"/none\"]\n", nil},
		"nothing":     {"FROM scratch\n", nil},
	}
	for kind, c := range cases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			repo := testenv.GitRepo(t, map[string]string{
				"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
				"Dockerfile": c.dockerfile, "file": "content\n",
			})
			out := "out:" + strings.ReplaceAll(kind, " ", "-")
			args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/" + out}
			testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			files := imageFiles(t, registry.Image(out))
			for _, name := range c.files {
				if _, ok := files[name]; !ok {
					t.Errorf("no %s in %v", name, files)
				}
			}
			if len(files) != len(c.files) {
				t.Errorf("the files are %v, want %v", files, c.files)
			}
			if r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
				t.Errorf("the second run:\n%s", r.Stderr)
			}
		})
	}
}
