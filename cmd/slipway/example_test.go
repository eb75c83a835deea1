package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// The example of the documentation, word for word.
var nodeApp = map[string]string{
	"werf.yaml": `project: myproject
configVersion: 1
---
image: myapp
dockerfile: Dockerfile
`,
	"Dockerfile": `FROM node

WORKDIR /app
COPY . .
RUN npm ci

CMD ["node", "server.js"]
`,
	"server.js":           "console.log('the answer is', require('answer'))\n",
	"package.json":        `{"name": "app", "version": "1.0.0", "dependencies": {"answer": "file:answer"}}`,
	"answer/package.json": `{"name": "answer", "version": "1.0.0"}`,
	"answer/index.js":     "module.exports = 42\n",
	"package-lock.json": `{
  "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "app", "version": "1.0.0", "dependencies": {"answer": "file:answer"}},
    "answer": {"version": "1.0.0"},
    "node_modules/answer": {"resolved": "answer", "link": true}
  }
}
`,
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: myapp
spec:
  selector:
    matchLabels: {app: myapp}
  template:
    metadata:
      labels: {app: myapp}
    spec:
      containers:
        - name: myapp
          image: {{ $.Values.werf.image.myapp }}
`

// nodeMirror is a registry that serves Docker Hub's node.
func nodeMirror(t *testing.T) *testenv.RegistryServer {
	r := testenv.Registry(t)
	r.PushImage("library/node:latest", testenv.NodeImage(t))
	return r
}

func TestExampleExport(t *testing.T) {
	t.Parallel()
	mirror, registry := nodeMirror(t), testenv.Registry(t)
	repo := testenv.GitRepo(t, nodeApp)
	cli := testenv.Slipway(t)
	name := registry.Host + "/other/myproject/myapp:latest"
	r := cli.Run(repo.Dir, []string{"WERF_CONTAINER_REGISTRY_MIRROR_1=http://" + mirror.Host},
		"export", "myapp", "--repo", registry.Host+"/myproject", "--tag", name).Must(t)
	if r.Stdout != name+"\n" {
		t.Errorf("standard output %q, want the published name", r.Stdout)
	}

	key := planned(t, cli, repo, "--repo", registry.Host+"/myproject").Images[0].Key
	if tags := keyTags(registry, "myproject"); len(tags) != 1 || tags[0] != key {
		t.Errorf("the repository has the tags %v, want the key %s", tags, key)
	}
	if kept, published := registry.Digest("myproject:"+key), registry.Digest("other/myproject/myapp:latest"); kept == "" || kept != published {
		t.Errorf("kept %s, published %s", kept, published)
	}
	if out := testenv.RunImage(t, name).Must(t); out.Stdout != "the answer is 42\n" {
		t.Errorf("the image says %q", out.Stdout)
	}
	crane := *cli
	crane.Path = testenv.Tool(t, "crane")
	crane.Run(repo.Dir, nil, "validate", "--remote", name).Must(t)
	noTrace(t, registry, "other/myproject/myapp:latest")
}

// noTrace checks that an image names neither this program nor anything of its
// making.
func noTrace(t *testing.T, registry *testenv.RegistryServer, ref string) {
	t.Helper()
	img := registry.Image(ref)
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(manifest), string(config)} {
		for _, word := range []string{"slipway", "werf", "myproject", "attestation"} {
			if strings.Contains(strings.ToLower(text), word) {
				t.Errorf("the published image mentions %q: %s", word, text)
			}
		}
	}
}

func TestExampleBundle(t *testing.T) {
	t.Parallel()
	mirror, registry := nodeMirror(t), testenv.Registry(t)
	repo := testenv.GitRepo(t, nodeApp)
	repo.Write("werf.yaml", strings.Replace(nodeApp["werf.yaml"], "myproject", "mybundle", 1))
	repo.Write(".helm/templates/myapp.yaml", deployment)
	repo.Commit("a chart")
	cli := testenv.Slipway(t)
	bundle := registry.Host + "/bundles/mybundle"
	args := []string{"bundle", "publish", "--repo", bundle, "--container-registry-mirror", "http://" + mirror.Host}
	cli.Run(repo.Dir, nil, args...).Must(t)
	cli.Run(repo.Dir, nil, append(args, "--tag", "1.2.3")...).Must(t)

	want := bundle + ":" + planned(t, cli, repo, "--repo", bundle).Images[0].Key
	if registry.Digest(strings.TrimPrefix(want, registry.Host+"/")) == "" {
		t.Fatalf("%s does not exist", want)
	}
	dir := t.TempDir()
	helm(t, cli, dir, "pull", "oci://"+bundle, "--version", "1.2.3", "--plain-http")
	manifests := helm(t, cli, dir, "template", "release", filepath.Join(dir, "mybundle-1.2.3.tgz"))
	if !strings.Contains(manifests, "image: "+want+"\n") {
		t.Errorf("helm template does not render %s:\n%s", want, manifests)
	}
	if about := helm(t, cli, dir, "show", "chart", filepath.Join(dir, "mybundle-1.2.3.tgz")); !strings.Contains(about, "version: 1.2.3\n") {
		t.Errorf("helm show chart:\n%s", about)
	}
	// Helm takes only versions for tags; what is published under any other is for
	// those who know its digest.
	manifests = helm(t, cli, dir, "template", "release", "oci://"+bundle+"@"+registry.Digest("bundles/mybundle:latest"), "--plain-http")
	if !strings.Contains(manifests, "image: "+want+"\n") {
		t.Errorf("helm template of latest does not render %s:\n%s", want, manifests)
	}
	if out := testenv.RunImage(t, want).Must(t); out.Stdout != "the answer is 42\n" {
		t.Errorf("the image says %q", out.Stdout)
	}
}

// helm runs the real helm in dir.
func helm(t *testing.T, cli *testenv.CLI, dir string, args ...string) string {
	t.Helper()
	tool := *cli
	tool.Path = testenv.Tool(t, "helm")
	return tool.Run(dir, nil, args...).Must(t).Stdout
}

// plan is the documented part of `slipway plan --output json`.
type plan struct {
	Images []struct {
		Name, Platform, Key, Ref string
		Final                    bool
		Needs                    []string
	}
}

func planned(t *testing.T, cli *testenv.CLI, repo *testenv.Repo, args ...string) plan {
	t.Helper()
	out := cli.Run(repo.Dir, nil, append([]string{"plan", "--output", "json"}, args...)...).Must(t).Stdout
	var p plan
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return p
}

// fileOf reads a file of the work tree.
func fileOf(t *testing.T, repo *testenv.Repo, name string) string {
	t.Helper()
	text, err := os.ReadFile(repo.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
