package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shop is a project of three images, none of which needs a RUN, and a chart.
func shop(t *testing.T) *testenv.Repo {
	files := map[string]string{
		"werf.yaml":                   "project: shop\nconfigVersion: 1\n",
		".helm/templates/config.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n{{- range $name, $ref := .Values.werf.image }}\n  {{ $name }}: {{ $ref }}\n{{- end }}\n",
		"README.md":                   "read me\n",
	}
	for _, name := range []string{"front", "back", "jobs"} {
		files["werf.yaml"] += "---\nimage: " + name + "\ncontext: " + name + "\ndockerfile: Dockerfile\n"
		files[name+"/Dockerfile"] = "FROM base\nCOPY src /" + name + "\n"
		files[name+"/src/main"] = name
	}
	return testenv.GitRepo(t, files)
}

// shopRegistry serves the shop's base, as a mirror and as the place of the images.
func shopRegistry(t *testing.T, options ...testenv.Option) *testenv.RegistryServer {
	registry := testenv.Registry(t, options...)
	registry.PushImage("library/base:latest", testenv.TreeImage(t, nil, map[string]string{"etc/base": "base\n"}, func(c *v1.Config) {
		c.Env = []string{"PATH=/bin"}
	}))
	return registry
}

func shopArgs(registry *testenv.RegistryServer, args ...string) []string {
	return append(args, "--repo", registry.Host+"/shop", "--container-registry-mirror", "http://"+registry.Host)
}

// countedGit is a PATH on which each start of git leaves a line in the file.
func countedGit(t *testing.T) (env, log string) {
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	script := "#!/bin/sh\necho \"$*\" >>" + log + "\nexec " + testenv.Tool(t, "git") + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH"), log
}

// What a run with nothing to do costs is a contract: requests, writes, processes,
// and that BuildKit is not started, on a machine that has never seen the project.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	tag := registry.Host + "/published/%image%:v1"
	verbs := map[string]struct {
		args     []string
		requests int
	}{
		"build":          {[]string{"build"}, 3},
		"export":         {[]string{"export", "--tag", tag}, 6},
		"export, labels": {[]string{"export", "--tag", tag + "-labels", "--add-label", "a=b"}, 6},
		"bundle":         {[]string{"bundle", "publish", "--tag", "1.0.0"}, 5},
	}
	first := testenv.Slipway(t)
	for _, verb := range verbs {
		first.Run(repo.Dir, nil, shopArgs(registry, verb.args...)...).Must(t)
	}
	check := func(t *testing.T, args []string, requests int) {
		t.Helper()
		registry.Reset()
		env, log := countedGit(t)
		cli := testenv.Slipway(t)
		cli.Run(repo.Dir, []string{env}, shopArgs(registry, args...)...).Must(t)
		if n := len(registry.Log()); n > requests {
			t.Errorf("%d requests, want at most %d: %v", n, requests, registry.Log())
		}
		if w := registry.Writes(); len(w) > 0 {
			t.Errorf("writes: %v", w)
		}
		if _, err := os.Stat(filepath.Join(cli.Home, "state")); !os.IsNotExist(err) {
			t.Errorf("the state directory was made, so BuildKit was started: %v", err)
		}
		started, err := os.ReadFile(log)
		if n := strings.Count(string(started), "\n"); err != nil || n > 3 {
			t.Errorf("%d processes of git (%v), want at most 3:\n%s", n, err, started)
		}
	}
	for name, verb := range verbs {
		t.Run("same commit, "+name, func(t *testing.T) { check(t, verb.args, verb.requests) })
	}
	repo.Write("README.md", "changed\n")
	repo.Commit("nothing that an image reads")
	for name, verb := range verbs {
		t.Run("unrelated commit, "+name, func(t *testing.T) { check(t, verb.args, verb.requests) })
	}
}

// A commit that changes one file of one image builds that image alone, and leaves
// the published digests of the others where they are.
func TestOneFileChanged(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	args := shopArgs(registry, "export", "--tag", registry.Host+"/published/%image%:v1")
	testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
	digests := func() map[string]string {
		d := map[string]string{}
		for _, name := range []string{"front", "back", "jobs"} {
			d[name] = registry.Digest("published/" + name + ":v1")
		}
		return d
	}
	before := digests()
	repo.Write("back/src/main", "changed")
	repo.Commit("change back")
	r := testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
	for name, digest := range digests() {
		if changed := digest != before[name]; changed != (name == "back") {
			t.Errorf("digest of %s changed: %v", name, changed)
		}
		if built := strings.Contains(r.Stderr, "[build "+name+"]"); built != (name == "back") {
			t.Errorf("%s built: %v\n%s", name, built, r.Stderr)
		}
	}
	if n := len(keyTags(registry, "shop")); n != 4 {
		t.Errorf("%d key tags, want one per image and one more: %v", n, keyTags(registry, "shop"))
	}
}

// A bundle whose chart mentions the commit changes with it; one whose chart does
// not keeps its digest.
func TestCommitInValues(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	publish := func(tag string) string {
		testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "bundle", "publish", "--tag", tag)...).Must(t)
		return registry.Digest("shop:" + tag)
	}
	first := publish("1.0.0")
	repo.Write("README.md", "changed\n")
	repo.Commit("unrelated")
	if second := publish("1.0.0"); second != first {
		t.Error("a commit that changes nothing in the bundle changed its digest")
	}
	repo.Write(".helm/templates/NOTES.txt", "commit {{ .Values.werf.commit.hash }}\n")
	hash := repo.Commit("mention the commit")
	third := publish("1.0.0")
	if third == first {
		t.Error("a changed chart kept its digest")
	}
	cli, dir := testenv.Slipway(t), t.TempDir()
	helm(t, cli, dir, "pull", "oci://"+registry.Host+"/shop", "--version", "1.0.0", "--plain-http")
	if values := helm(t, cli, dir, "show", "values", filepath.Join(dir, "shop-1.0.0.tgz")); !strings.Contains(values, hash) {
		t.Errorf("the values lack the commit:\n%s", values)
	}
}
