package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// buildReport is the documented part of a build report.
type buildReport struct {
	Runtime          struct{ Backend string }
	Images           map[string]reportedImage
	ImagesByPlatform map[string]map[string]reportedImage
}

type reportedImage struct {
	WerfImageName, ConfigType, DockerRepo, DockerTag, DockerImageID, DockerImageDigest, DockerImageName string
	TargetPlatform, BuildTime, Commit                                                                   string
	Rebuilt, Final                                                                                      bool
	Size                                                                                                int64
}

func reportOf(t *testing.T, repo *testenv.Repo, name string) buildReport {
	t.Helper()
	var r buildReport
	if err := json.Unmarshal([]byte(fileOf(t, repo, name)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// What the report says of each image is what the registry says.
func TestBuildReport(t *testing.T) {
	t.Parallel()
	registry, repo, cli := shopRegistry(t), shop(t), testenv.Slipway(t)
	repo.Write("werf.yaml", strings.Replace(fileOf(t, repo, "werf.yaml"), "image: jobs\n", "image: jobs\nfinal: false\n", 1))
	commit := repo.Commit("jobs is not final")
	build := shopArgs(registry, "build", "--save-build-report")
	cli.Run(repo.Dir, nil, build...).Must(t)
	first := reportOf(t, repo, ".werf-build-report.json")
	if len(first.Images) != 3 || first.Runtime.Backend != "buildkit" {
		t.Fatalf("report %+v", first)
	}
	for _, p := range planned(t, cli, repo, "--repo", registry.Host+"/shop").Images {
		i := first.Images[p.Name]
		img := registry.Image("shop:" + p.Key)
		id, err := img.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		var size int64
		for _, l := range layers {
			n, err := l.Size()
			if err != nil {
				t.Fatal(err)
			}
			size += n
		}
		want := reportedImage{
			WerfImageName: p.Name, ConfigType: "dockerfile", DockerRepo: registry.Host + "/shop", DockerTag: p.Key,
			DockerImageID: id.String(), DockerImageDigest: registry.Digest("shop:" + p.Key), DockerImageName: p.Ref,
			TargetPlatform: p.Platform, BuildTime: i.BuildTime, Commit: commit, Rebuilt: true, Final: p.Name != "jobs", Size: size,
		}
		if i != want || i.BuildTime == "" {
			t.Errorf("the report has\n%+v\nwant\n%+v", i, want)
		}
		if byPlatform := first.ImagesByPlatform[p.Name]; len(byPlatform) != 1 || byPlatform[p.Platform] != i {
			t.Errorf("by platform: %+v", byPlatform)
		}
	}

	// A run with nothing to do writes the same bytes anywhere, for the files that
	// runs write are no part of the project.
	cli.Run(repo.Dir, nil, build...).Must(t)
	again := fileOf(t, repo, ".werf-build-report.json")
	if i := reportOf(t, repo, ".werf-build-report.json").Images["front"]; i.Rebuilt || i.BuildTime != "0.00" {
		t.Errorf("the second run says %+v", i)
	}
	testenv.Slipway(t).Run(repo.Dir, []string{"WERF_SAVE_BUILD_REPORT=1", "WERF_BUILD_REPORT_PATH=other"}, shopArgs(registry, "build")...).Must(t)
	if other := fileOf(t, repo, "other.json"); other != again {
		t.Errorf("another machine says\n%s\nnot\n%s", other, again)
	}

	// Of work that is in no commit, the report names none.
	cli.Run(repo.Dir, nil, append(build, "--dev")...).Must(t)
	if i := reportOf(t, repo, ".werf-build-report.json").Images["front"]; i.Commit != "" || i.Rebuilt {
		t.Errorf("with --dev the report says %+v", i)
	}
}

// A report in the project is not in a build context, whoever would copy it.
func TestBuildReportInContext(t *testing.T) {
	t.Parallel()
	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: ~\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM scratch\nCOPY . /\n",
	})
	args := []string{"build", "--repo", registry.Host + "/app", "--save-build-report", "--build-report-path", "a[b].env"}
	for _, more := range [][]string{nil, {"--dev"}} {
		cli.Run(repo.Dir, nil, append(args, more...)...).Must(t)
		if r := cli.Run(repo.Dir, nil, append(args, more...)...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
			t.Errorf("%v: the report is in the key\n%s", more, r.Stderr)
		}
	}
	// The nameless image's variables have no name in them.
	if text := fileOf(t, repo, "a[b].env"); !strings.Contains(text, "\nWERF_DOCKER_IMAGE_DIGEST="+registry.Digest("app:"+keyTags(registry, "app")[0])+"\n") {
		t.Errorf("the report is\n%s", text)
	}
	export := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/out:v1", "--use-build-report", "--build-report-path"}
	cli.Run(repo.Dir, nil, append(export, "a[b].env")...).Must(t)
	// Any other file there is one that the user may have forgotten.
	repo.Write("b.env", "")
	if r := cli.Run(repo.Dir, nil, append(export, "a[b].env")...); r.Code != 2 || !strings.Contains(r.Stderr, "b.env") || strings.Contains(r.Stderr, "a[b].env") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

// The env form is for a shell to source: its values are quoted where a shell
// needs it, and its order is that of werf.yaml.
func TestBuildReportEnv(t *testing.T) {
	t.Parallel()
	registry, repo, cli := shopRegistry(t), shop(t), testenv.Slipway(t)
	place := "oci:" + filepath.Join(t.TempDir(), "it's a $(touch x) place")
	args := []string{"build", "--container-registry-mirror=http://" + registry.Host, "--save-build-report", "--build-report-path", "report.env", "--repo", place}
	cli.Run(repo.Dir, nil, args...).Must(t)
	shell := *cli
	shell.Path = testenv.Tool(t, "bash")
	out := shell.Run(repo.Dir, nil, "-c", `set -u; . ./report.env; echo "$WERF_FRONT_DOCKER_REPO|$WERF_BACK_WERF_IMAGE_NAME|$WERF_JOBS_FINAL"; echo "$WERF_FRONT_DOCKER_IMAGE_NAME" "$WERF_FRONT_DOCKER_IMAGE_ID"`).Must(t).Stdout
	key := planned(t, cli, repo).Images[0].Key
	if want := place + "|back|true\n" + place + ":" + key + " sha256:"; !strings.HasPrefix(out, want) {
		t.Errorf("a shell reads\n%s\nwant\n%s", out, want)
	}
	text := fileOf(t, repo, "report.env")
	if front, back, jobs := strings.Index(text, "WERF_FRONT_"), strings.Index(text, "WERF_BACK_"), strings.Index(text, "WERF_JOBS_"); front != 0 || back < front || jobs < back {
		t.Errorf("the order is not that of werf.yaml:\n%s", text)
	}
	export := []string{"export", "--repo", place, "--tag", registry.Host + "/out/%image%:v1", "--use-build-report", "--build-report-path", "report.env"}
	cli.Run(repo.Dir, nil, export...).Must(t)
	if registry.Digest("out/jobs:v1") == "" {
		t.Error("the report's images are not exported")
	}
}

// Reports that cannot be written are refused before anything is built, and
// nothing is left of a run that failed.
func TestBuildReportRefused(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: [a/b, a-b, other, a.b]\ndockerfile: Dockerfile\n---\nimage: broken\ndockerfile: Broken\n",
		"Dockerfile": "FROM scratch\nCOPY werf.yaml /\n",
		"Broken":     "FROM example.invalid/absent\n",
	})
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"names":     {[]string{"a*", "a/b", "--build-report-path", "x.env"}, 2, []string{`"a/b" and "a-b"`, `"a/b" and "a.b"`, "WERF_A_B_"}},
		"extension": {[]string{"other", "--build-report-path", "x.yaml"}, 2, []string{".json or .env"}},
		"directory": {[]string{"other", "--build-report-path", "no/x.json"}, 2, []string{"no directory no"}},
		"failed":    {[]string{"other", "broken", "--build-report-path", "x.json"}, 1, []string{"example.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.Slipway(t).Run(repo.Dir, nil, append([]string{"build", "--save-build-report", "--repo", registry.Host + "/" + name}, test.args...)...)
			if r.Code != test.code {
				t.Errorf("exit code %d", r.Code)
			}
			for _, want := range test.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("no %q in\n%s", want, r.Stderr)
				}
			}
			if n := len(registry.Tags(name)); n > 0 && test.code == 2 {
				t.Errorf("%d images were built", n)
			}
		})
	}
	if left, err := filepath.Glob(repo.Path("*x.*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// With a report nothing is built: its images are what is exported and bundled.
func TestUseBuildReport(t *testing.T) {
	t.Parallel()
	registry, repo, cli := shopRegistry(t), shop(t), testenv.Slipway(t)
	platforms := []string{"--platform", "linux/amd64,linux/arm64"}
	with := func(args ...string) []string {
		return append(append(args, "--repo", registry.Host+"/shop"), platforms...)
	}
	cli.Run(repo.Dir, nil, append(with("build", "--save-build-report"), "--container-registry-mirror=http://"+registry.Host)...).Must(t)
	report := reportOf(t, repo, ".werf-build-report.json")
	front := report.Images["front"]
	index := indexOf(t, registry, "shop:"+front.DockerTag)
	if front.TargetPlatform != "" || front.DockerImageDigest != registry.Digest("shop:"+front.DockerTag) || front.DockerImageID != front.DockerImageDigest {
		t.Errorf("the index is %+v", front)
	}
	for i, name := range []string{"linux/amd64", "linux/arm64"} {
		child := report.ImagesByPlatform["front"][name]
		if child.TargetPlatform != name || child.DockerImageDigest != index.Manifests[i].Digest.String() || registry.Digest("shop:"+child.DockerTag) != child.DockerImageDigest {
			t.Errorf("%s is %+v, want %s", name, child, index.Manifests[i].Digest)
		}
	}

	// Both variables may be set for a whole pipeline.
	env := []string{"WERF_USE_BUILD_REPORT=1", "WERF_SAVE_BUILD_REPORT=1"}
	before := fileOf(t, repo, ".werf-build-report.json")
	for _, args := range [][]string{
		with("export", "--tag", registry.Host+"/out/%image%:v1"),
		with("export", "front", "--tag", registry.Host+"/out/%image%:labelled", "--add-label", "a=b"),
		with("bundle", "publish", "--tag", "1.0.0"),
	} {
		cli.Run(repo.Dir, env, args...).Must(t)
	}
	if fileOf(t, repo, ".werf-build-report.json") != before {
		t.Error("the report is another one after it was used")
	}
	if d := registry.Digest("out/front:v1"); d != front.DockerImageDigest {
		t.Errorf("exported is %s, the report has %s", d, front.DockerImageDigest)
	}
	if len(indexOf(t, registry, "out/front:labelled").Manifests) != 2 || registry.Digest("shop:1.0.0") == "" {
		t.Error("labels or the bundle are missing")
	}

	use := func() testenv.Result {
		return cli.Run(repo.Dir, nil, with("export", "--tag", registry.Host+"/new/%image%:v1", "--use-build-report")...)
	}
	refused := func(name string, r testenv.Result, code int, wants ...string) {
		t.Helper()
		if r.Code != code {
			t.Errorf("%s: exit code %d, want %d", name, r.Code, code)
		}
		for _, want := range wants {
			if !strings.Contains(r.Stderr, want) {
				t.Errorf("%s: no %q in\n%s", name, want, r.Stderr)
			}
		}
		if d := registry.Digest("new/front:v1") + registry.Digest("new/back:v1"); d != "" {
			t.Errorf("%s: something was published: %s", name, d)
		}
	}
	save := func(change func(*buildReport)) {
		t.Helper()
		var r buildReport
		if err := json.Unmarshal([]byte(before), &r); err != nil {
			t.Fatal(err)
		}
		change(&r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		repo.Write(".werf-build-report.json", string(text))
	}
	save(func(r *buildReport) { delete(r.Images, "front"); delete(r.Images, "jobs") })
	refused("missing images", use(), 2, "lacks images: front, jobs", "slipway build --save-build-report")
	save(func(r *buildReport) {
		i := r.Images["back"]
		i.DockerImageDigest = front.DockerImageDigest
		r.Images["back"] = i
	})
	refused("another digest", use(), 1, "says that it is "+front.DockerImageDigest)
	save(func(r *buildReport) { r.Images["back"] = reportedImage{DockerTag: "x", DockerImageDigest: "sha256:1"} })
	refused("no digest", use(), 2, `image "back" has the digest "sha256:1"`)
	repo.Write(".werf-build-report.json", "{")
	refused("no report", use(), 2, "not a build report")
	repo.Write(".werf-build-report.json", before)
	refused("not there", cli.Run(repo.Dir, nil, append([]string{"export", "--repo", registry.Host + "/empty", "--tag", registry.Host + "/new/%image%:v1", "--use-build-report"}, platforms...)...), 1, "does not exist, though it is in .werf-build-report.json")
	repo.Write("back/src/main", "changed")
	repo.Commit("change back")
	refused("another commit", use(), 2, "of other images", "back: it has "+report.Images["back"].DockerTag)
	if err := os.Remove(repo.Path(".werf-build-report.json")); err != nil {
		t.Fatal(err)
	}
	refused("no file", use(), 2, "there is no .werf-build-report.json")
}
