package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// What a secondary repository has is copied and not built, nor is what it is made
// from; in one registry its layers are mounted. Nothing is written to it.
func TestSecondaryRepository(t *testing.T) {
	steps := countSteps(t)
	files := map[string]string{
		"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: base\ndockerfile: Dockerfile.base\n" +
			"---\nimage: app\ndockerfile: Dockerfile\ndependencies: [{image: base, imports: [{type: ImageName, targetBuildArg: BASE}]}]\n",
		"Dockerfile.base": "FROM busybox\n" + steps.run("base", "echo base >/base"),
		"Dockerfile":      "ARG BASE\nFROM $BASE\nCOPY file /file\n" + steps.run("app", "cat /file /base >/built"),
		"file":            "one",
	}
	for name, oneRegistry := range map[string]bool{"one registry": true, "another registry": false} {
		t.Run(name, func(t *testing.T) {
			registry, repo := busyRegistry(t), testenv.GitRepo(t, files)
			second := registry
			if !oneRegistry {
				second = testenv.Registry(t)
			}
			run := func(repository string, args ...string) testenv.Result {
				t.Helper()
				args = append([]string{"build", "--cache=off", "--repo", repository, "--container-registry-mirror", "http://" + registry.Host}, args...)
				return testenv.Slipway(t).Run(repo.Dir, nil, args...).Must(t)
			}
			run(second.Host + "/second")
			steps.expect(t, "in the secondary repository", "app", "base")
			registry.Reset()
			second.Reset()
			secondary := "--secondary-repo=" + second.Host + "/second"
			r := run(registry.Host+"/first", secondary, "--save-build-report", "app")
			steps.expect(t, "copied")
			if !strings.Contains(r.Stderr, "[build app] copying from "+second.Host+"/second\n") || strings.Contains(r.Stderr, "build base") {
				t.Errorf("app alone should be copied:\n%s", r.Stderr)
			}
			for _, w := range append(registry.Writes(), second.Writes()...) {
				if strings.Contains(w.Path, "/second/") {
					t.Errorf("the secondary repository is written to: %s", w)
				}
			}
			key := planned(t, testenv.Slipway(t), repo).Images[1].Key
			if d := registry.Digest("first:" + key); d == "" || d != second.Digest("second:"+key) {
				t.Errorf("the copy is %q", d)
			}
			var report struct {
				Images map[string]struct{ Rebuilt bool }
			}
			if err := json.Unmarshal([]byte(fileOf(t, repo, ".werf-build-report.json")), &report); err != nil || report.Images["app"].Rebuilt {
				t.Errorf("report %+v: %v", report, err)
			}
			sent := registry.Count(func(r testenv.Request) bool { return r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/") })
			mounted := registry.Count(func(r testenv.Request) bool {
				return strings.Contains(r.Query, "mount=") && r.Status == http.StatusCreated
			})
			if oneRegistry != (sent == 0) || oneRegistry != (mounted > 0) {
				t.Errorf("%d blobs sent, %d mounted: %v", sent, mounted, registry.Log())
			}
			second.Reset()
			if r := run(registry.Host+"/first", secondary, "app"); len(second.Log()) > 1 || !strings.Contains(r.Stderr, "Nothing to do") {
				t.Errorf("nothing to do: %v\n%s", second.Log(), r.Stderr)
			}
			repo.Write("file", "two")
			repo.Commit("nobody has this")
			run(registry.Host+"/first", secondary)
			steps.expect(t, "one missing, one found", "app")
			if d := registry.Digest("first:" + planned(t, testenv.Slipway(t), repo).Images[0].Key); d == "" {
				t.Error("base was not copied")
			}
			if tags := second.Tags("second"); len(tags) != 2 {
				t.Errorf("tags in the secondary repository: %v", tags)
			}
		})
	}
}

// A layout can be secondary, to a repository that builds nothing; one that cannot
// be asked is an error.
func TestSecondaryLayout(t *testing.T) {
	registry, repo, cli := shopRegistry(t), shop(t), testenv.Slipway(t)
	layout := "oci:" + filepath.Join(t.TempDir(), "layout")
	args := []string{"build", "--container-registry-mirror", "http://" + registry.Host, "--repo"}
	cli.Run(repo.Dir, nil, append(args, layout)...).Must(t)
	cli.Run(repo.Dir, nil, append(args, registry.Host+"/shop", "--secondary-repo", layout, "-Z")...).Must(t)
	if tags := registry.Tags("shop"); len(tags) != 3 {
		t.Errorf("tags %v", tags)
	}
	r := cli.Run(repo.Dir, nil, append(args, registry.Host+"/new", "--secondary-repo", "127.0.0.1:1/gone")...)
	if r.Code != 1 || !strings.Contains(r.Stderr, "secondary repository: look up 127.0.0.1:1/gone:") || strings.Count(r.Stderr, "connection refused") != 1 {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}
