package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

var recordTag = regexp.MustCompile(`\bplan-[0-9a-f]{64}\b`)

// records are the tags of plan records in a repository.
func records(registry *testenv.RegistryServer, repository string) []string {
	return slices.DeleteFunc(registry.Tags(repository), func(tag string) bool { return !recordTag.MatchString(tag) })
}

// trusting runs a verb of the shop with --trust-plan, on a machine of its own, and
// returns what it asked of the registry.
func trusting(t *testing.T, registry *testenv.RegistryServer, repo *testenv.Repo, args ...string) (testenv.Result, []testenv.Request) {
	t.Helper()
	registry.Reset()
	r := testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, append(args, "--trust-plan")...)...)
	return r, registry.Log()
}

// trusted checks that a run took its images from the record: it asked for as much and
// wrote nothing.
func trusted(t *testing.T, registry *testenv.RegistryServer, repo *testenv.Repo, requests int, args ...string) testenv.Result {
	t.Helper()
	r, log := trusting(t, registry, repo, args...)
	if r.Must(t); len(log) != requests || len(registry.Writes()) > 0 {
		t.Errorf("%v: %d requests, want %d and no write: %v", args, len(log), requests, log)
	}
	if strings.Count(r.Stderr, "trusting the plan record "+registry.Host+"/shop:plan-") != 1 || !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("%v:\n%s", args, r.Stderr)
	}
	return r
}

// The record comes last, and then one request answers for all images.
func TestTrustedPlan(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "build", "front")...).Must(t)
	if tags := records(registry, "shop"); len(tags) > 0 {
		t.Errorf("a run without the flag left the records %v", tags)
	}
	r, log := trusting(t, registry, repo, "build")
	r.Must(t)
	var keys []string
	for _, w := range registry.Writes() {
		if tag := filepath.Base(w.Path); w.Method == http.MethodPut && (keyTagLookup.MatchString(w.Path) || recordTag.MatchString(tag)) {
			keys = append(keys, tag)
		}
	}
	made := records(registry, "shop")
	if len(made) != 1 || len(keys) != 3 || keys[2] != made[0] {
		t.Fatalf("the records %v, written in the order %v: %v", made, keys, log)
	}
	if strings.Contains(r.Stderr, "trusting") || !strings.Contains(r.Stderr, "  record "+registry.Host+"/shop:"+made[0]) {
		t.Errorf("the first run says\n%s", r.Stderr)
	}
	export := []string{"export", "--tag", registry.Host + "/published/%image%:v1"}
	labelled := []string{"export", "--tag", registry.Host + "/published/%image%:v2", "--add-label", "a=b"}
	publish := []string{"bundle", "publish", "--tag", "1.0.0"}
	trusted(t, registry, repo, 1, "build")
	for _, verb := range []struct {
		args     []string
		requests int
	}{{export, 1 + 3}, {labelled, 1 + 3}, {publish, 1 + 2}} {
		r, _ := trusting(t, registry, repo, verb.args...)
		r.Must(t)
		trusted(t, registry, repo, verb.requests, verb.args...)
	}
	if tags := records(registry, "shop"); len(tags) != 2 {
		t.Errorf("there are the records %v, want one of images and one of labelled images", tags)
	}
	trusted(t, registry, repo, 1+3, "build", "--require-built-images", "--save-build-report") // three manifests
	if report := reportOf(t, repo, ".werf-build-report.json"); report.Images["front"].DockerImageDigest != registry.Digest("published/front:v1") {
		t.Errorf("report %+v", report)
	}
	if r, log := trusting(t, registry, repo, "render"); len(log) != 1 || !strings.Contains(r.Must(t).Stdout, "front: "+registry.Host+"/shop:") {
		t.Errorf("%v\n%s", log, r.Stdout)
	}
	// Nobody else is affected.
	registry.Reset()
	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "build")...).Must(t)
	if log := registry.Log(); len(log) != 3 || len(registry.Writes()) > 0 || slices.ContainsFunc(log, func(r testenv.Request) bool { return recordTag.MatchString(r.Path) }) {
		t.Errorf("without the flag: %v", log)
	}
	// Nor does it matter which commit, or in what order and by what names.
	repo.Write("README.md", "changed\n")
	config := strings.Split(fileOf(t, repo, "werf.yaml"), "---\n")
	repo.Write("werf.yaml", strings.Join([]string{config[0], config[3], config[1], strings.Replace(config[2], "image: back", "image: other", 1)}, "---\n"))
	repo.Commit("nothing that an image reads")
	trusted(t, registry, repo, 1, "build")
	repo.Write("jobs/src/main", "changed")
	repo.Commit("a file of an image")
	if r, log := trusting(t, registry, repo, "build"); strings.Contains(r.Must(t).Stderr, "trusting") || len(log) <= 4 || len(records(registry, "shop")) != 3 {
		t.Errorf("%v: %v\n%s", records(registry, "shop"), log, r.Stderr)
	}
	trusted(t, registry, repo, 1, "build")
}

// Whatever is in the place of a record is ignored, and all images are asked for.
func TestNoRecordToTrust(t *testing.T) {
	t.Parallel()
	broken := false
	registry, repo := shopRegistry(t, testenv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !broken || !recordTag.MatchString(r.URL.Path) {
			return false
		}
		testenv.Refuse(w, http.StatusNotImplemented, "UNSUPPORTED", "no such thing")
		return true
	})), shop(t)
	testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, "build")...).Must(t)
	asked := func(want string, writes int) {
		t.Helper()
		r, log := trusting(t, registry, repo, "build", "-Z")
		if r.Must(t); len(log) != 1+3+1 || len(registry.Writes()) != 1 || strings.Count(r.Stderr, "plan record") != writes || !strings.Contains(r.Stderr, want) {
			t.Errorf("%v\n%s", log, r.Stderr)
		}
	}
	asked("", 0) // all images are there, the record is not
	tag := records(registry, "shop")[0]
	right := registry.Digest("shop:" + tag)
	registry.PushImage("shop:"+tag, smallBase(t))
	asked("ignoring the plan record "+registry.Host+"/shop:"+tag, 1)
	if now := registry.Digest("shop:" + tag); now != right {
		t.Errorf("the record is %s, want %s", now, right)
	}
	broken = true
	asked("no such thing", 2) // it can be neither read nor written
}

// A run that did not come to its end leaves no record.
func TestFailedRunLeavesNoRecord(t *testing.T) {
	t.Parallel()
	refuse := ""
	registry, repo := shopRegistry(t, testenv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if refuse == "" || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, refuse) {
			return false
		}
		testenv.Refuse(w, http.StatusForbidden, "DENIED", "not this one")
		return true
	})), shop(t)
	for _, test := range []struct {
		refuse string
		args   []string
	}{
		{"/published/jobs/manifests/v1", []string{"export", "--tag", registry.Host + "/published/%image%:v1"}},
		{"/shop/manifests/v1", []string{"bundle", "publish", "--tag", "v1"}},
	} {
		refuse = test.refuse
		if r, _ := trusting(t, registry, repo, test.args...); r.Code != 1 || len(records(registry, "shop")) > 0 {
			t.Errorf("exit code %d, records %v\n%s", r.Code, records(registry, "shop"), r.Stderr)
		}
	}
	repo.Write("jobs/Dockerfile", "FROM base\nCOPY absent /\n")
	repo.Commit("an image that cannot be built")
	if r, _ := trusting(t, registry, repo, "build"); r.Code == 0 || len(records(registry, "shop")) > 0 {
		t.Errorf("exit code %d, records %v\n%s", r.Code, records(registry, "shop"), r.Stderr)
	}
}

// An image that is gone is noticed before anything new depends on it, and the next
// run builds it.
func TestTrustedImageIsGone(t *testing.T) {
	t.Parallel()
	verbs := map[string][]string{
		"export":         {"export", "--tag", "HOST/published/%image%:v1"},
		"same place":     {"build", "--add-custom-tag", "%image%-v1"},
		"bundle":         {"bundle", "publish", "--tag", "1.0.0"},
		"build report":   {"build", "--save-build-report"},
		"bundle, tagged": {"bundle", "publish", "--tag", "1.0.1"}, // of a chart that is there
	}
	for name, args := range verbs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry, repo := shopRegistry(t), shop(t)
			for i := range args {
				args[i] = strings.Replace(args[i], "HOST", registry.Host, 1)
			}
			r, _ := trusting(t, registry, repo, "build")
			r.Must(t)
			if name == "bundle, tagged" {
				testenv.Slipway(t).Run(repo.Dir, nil, shopArgs(registry, args...)...).Must(t)
				registry.PushImage("shop:1.0.1", smallBase(t))
			}
			gone := registry.Host + "/shop@" + registry.Digest("shop:"+planned(t, testenv.Slipway(t), repo).Images[1].Key)
			deleteManifest(t, registry, "shop", gone[strings.Index(gone, "@")+1:])
			tags := registry.Tags("shop")
			r, _ = trusting(t, registry, repo, args...)
			if r.Code != 1 || !strings.Contains(r.Stderr+r.Stdout, gone+" is gone, and the plan record "+registry.Host+"/shop:plan-") || !strings.Contains(r.Stderr, "run once without --trust-plan") {
				t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
			}
			if now := registry.Tags("shop"); !slices.Equal(now, tags) || registry.Digest("published/front:v1") != "" {
				t.Errorf("the tags %v are now %v", tags, now)
			}
			if r, _ = trusting(t, registry, repo, args...); !strings.Contains(r.Must(t).Stderr, "withdrawn") || !strings.Contains(r.Stderr, "build back") {
				t.Errorf("the next run says\n%s", r.Stderr)
			}
			if r, _ = trusting(t, registry, repo, "build"); !strings.Contains(r.Must(t).Stderr, "trusting") {
				t.Errorf("there is no record:\n%s", r.Stderr)
			}
		})
	}
}

func deleteManifest(t *testing.T, registry *testenv.RegistryServer, repository, digest string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+registry.Host+"/v2/"+repository+"/manifests/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("deleting %s: %s", digest, resp.Status)
	}
}

// A final repository has a record of its own, as has a layout.
func TestTrustedPlanElsewhere(t *testing.T) {
	t.Parallel()
	registry, repo := shopRegistry(t), shop(t)
	repo.Write("werf.yaml", strings.Replace(fileOf(t, repo, "werf.yaml"), "image: jobs\n", "image: jobs\nfinal: false\n", 1))
	repo.Commit("jobs is not final")
	final := []string{"build", "--final-repo", registry.Host + "/final"}
	r, _ := trusting(t, registry, repo, final...)
	if r.Must(t); len(records(registry, "shop")) != 1 || len(records(registry, "final")) != 1 {
		t.Errorf("the records %v and %v", records(registry, "shop"), records(registry, "final"))
	}
	trusted(t, registry, repo, 2, final...)

	cli, layout := testenv.Slipway(t), filepath.Join(t.TempDir(), "layout")
	local := []string{"build", "--trust-plan", "--repo", "oci:" + layout, "--container-registry-mirror", "http://" + registry.Host}
	cli.Run(repo.Dir, nil, local...).Must(t)
	before, err := os.Stat(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	r = cli.Run(repo.Dir, nil, local...).Must(t)
	after, err := os.Stat(filepath.Join(layout, "index.json"))
	if err != nil || !os.SameFile(before, after) || !strings.Contains(r.Stderr, "trusting the plan record oci:"+layout+":plan-") {
		t.Errorf("%v\n%s", err, r.Stderr)
	}
}

// A record is no key, and no tag for anything else.
func TestRecordIsNoKey(t *testing.T) {
	t.Parallel()
	registry, repo, cli := shopRegistry(t), shop(t), testenv.Slipway(t)
	r, _ := trusting(t, registry, repo, "build")
	r.Must(t)
	from, tag := registry.Host+"/shop", records(registry, "shop")[0]
	cli.Run(repo.Dir, nil, "stages", "copy", "--from", from, "--to", registry.Host+"/copy").Must(t)
	if tags := registry.Tags("copy"); len(tags) != 3 || len(records(registry, "copy")) != 0 {
		t.Errorf("copied are %v", tags)
	}
	for _, args := range [][]string{
		{"export", "front", "--tag", from + ":" + tag},
		{"bundle", "publish", "--tag", tag},
		{"build", "front", "--add-custom-tag", tag},
		{"build", "front", "--final-repo", registry.Host + "/final", "--add-custom-tag", tag},
	} {
		if r := cli.Run(repo.Dir, nil, shopArgs(registry, args...)...); r.Code != 2 || !strings.Contains(r.Stderr, "plan record") {
			t.Errorf("%v: exit code %d\n%s", args, r.Code, r.Stderr)
		}
	}
	cli.Run(repo.Dir, nil, shopArgs(registry, "export", "front", "--tag", registry.Host+"/elsewhere:"+tag)...).Must(t)
	cli.Run(repo.Dir, nil, shopArgs(registry, "build", "--save-build-report")...).Must(t)
	env := []string{"WERF_TRUST_PLAN=1"}
	for _, verb := range [][]string{{"export", "--tag", registry.Host + "/published/%image%:v1"}, {"bundle", "publish"}} {
		if r := cli.Run(repo.Dir, env, shopArgs(registry, append(verb, "--use-build-report")...)...); r.Code != 2 || !strings.Contains(r.Stderr, "--trust-plan and --use-build-report exclude each other") {
			t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
		}
	}
}
