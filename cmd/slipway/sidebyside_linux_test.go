package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
	"slipway/oci/filelock"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// crowd is a project of n images, each with a RUN of its own that tells the
// registry when it runs, and one RUN that all begin with.
func crowd(t *testing.T, registry *testenv.RegistryServer, n int) *testenv.Repo {
	t.Helper()
	files := map[string]string{"werf.yaml": "project: fleet\nconfigVersion: 1\n"}
	for i := range n {
		files["werf.yaml"] += fmt.Sprintf("---\nimage: image%d\ndockerfile: %d.Dockerfile\n", i, i)
		files[strconv.Itoa(i)+".Dockerfile"] = "FROM busybox\nRUN " + tells(registry, "shared") + "\nRUN " + tells(registry, strconv.Itoa(i)) + " && echo $RANDOM >/random\n"
	}
	return testenv.GitRepo(t, files)
}

// tells is a command that the registry hears of, so that a step that comes from a
// cache is not counted.
func tells(registry *testenv.RegistryServer, what string) string {
	return "wget -q -O - http://" + registry.Host + "/v2/ran/" + what + " || true"
}

// ran counts steps that have been run, by what they tell.
func ran(registry *testenv.RegistryServer) map[string]int {
	counts := map[string]int{}
	for _, r := range registry.Log() {
		if what, ok := strings.CutPrefix(r.Path, "/v2/ran/"); ok {
			counts[what]++
		}
	}
	return counts
}

// Four runs at once over one project share the work: they build each image once,
// although none comes out the same twice, and all report the same digests.
func TestFourRunsAtOnceShareTheWork(t *testing.T) {
	t.Parallel()
	const images, runs = 20, 4
	registry := busyRegistry(t)
	repo := crowd(t, registry, images)
	cli, reports := testenv.Slipway(t), t.TempDir()
	report := func(i int) string { return filepath.Join(reports, strconv.Itoa(i)+".json") }
	results := make(chan testenv.Result)
	for i := range runs {
		go func() {
			results <- cli.Run(repo.Dir, nil, "build", "--repo", registry.Host+"/fleet", "--container-registry-mirror", "http://"+registry.Host,
				"--save-build-report", "--build-report-path", report(i))
		}()
	}
	built := 0
	for range runs {
		r := <-results
		if r.Code != 0 {
			t.Errorf("exit code %d:\n%s", r.Code, r.Stderr)
		}
		built += len(regexp.MustCompile(`(?m)^\[build image\d+\] done`).FindAllString(r.Stderr, -1))
	}
	if built != images {
		t.Errorf("%d builds, want %d", built, images)
	}
	counts, total := ran(registry), 0
	for what, n := range counts {
		if total += n; what != "shared" && n != 1 {
			t.Errorf("RUN %s ran %d times", what, n)
		}
	}
	const alone = images + 1 // of one run
	if t.Logf("%d RUNs, %d in one run", total, alone); total >= 2*alone || len(counts) != alone {
		t.Errorf("%d RUNs ran, of %d there are: %v", total, alone, counts)
	}
	first := reported(t, report(0))
	if len(first) != images {
		t.Errorf("%d images are reported", len(first))
	}
	for i := range runs {
		for name, digest := range reported(t, report(i)) {
			if digest != first[name] {
				t.Errorf("%s is %s for one run and %s for another", name, first[name], digest)
			}
		}
	}
	for _, image := range planned(t, cli, repo).Images {
		if kept := registry.Digest("fleet:" + image.Key); kept != first[image.Name] {
			t.Errorf("%s is kept as %q and reported as %q", image.Name, kept, first[image.Name])
		}
	}
	nothingHeld(t, cli)
	nothingLeft(t, cli)
	for _, item := range usage(t, cli, "builds") {
		if item.PID != 0 {
			t.Errorf("process %d uses %s", item.PID, item.Path)
		}
	}
}

// reported are the digests of a build report.
func reported(t *testing.T, path string) map[string]string {
	t.Helper()
	var report struct {
		Images map[string]struct{ DockerImageDigest string }
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for name, image := range report.Images {
		digests[name] = image.DockerImageDigest
	}
	return digests
}

// usage is what `slipway host usage` shows of a kind.
func usage(t *testing.T, cli *testenv.CLI, kind string) []state.Item {
	t.Helper()
	var doc struct{ Items []state.Item }
	if err := json.Unmarshal([]byte(cli.Run(t.TempDir(), nil, "host", "usage", "-o", "json").Must(t).Stdout), &doc); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(doc.Items, func(i state.Item) bool { return i.Kind != kind })
}

// nothingHeld checks that no run holds anything in the state directory.
func nothingHeld(t *testing.T, cli *testenv.CLI) {
	t.Helper()
	root := filepath.Join(cli.Home, "state", "slipway")
	locks, err := filepath.Glob(filepath.Join(root, "buildkit", "*", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lock := range locks {
		if !free(t, lock) {
			t.Errorf("%s is locked", lock)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), cli.Home) {
		t.Errorf("something is mounted (%v):\n%s", err, mounts)
	}
}

// nothingLeft checks that nothing is half-done in the state directory.
func nothingLeft(t *testing.T, cli *testenv.CLI) {
	t.Helper()
	root := filepath.Join(cli.Home, "state", "slipway")
	for _, pattern := range []string{"locks/*", "buildkit/*/in-use", "buildkit/*.*", "buildkit/*/runc-*/content/ingest/*"} {
		if left, err := filepath.Glob(filepath.Join(root, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

// kill -9 at any moment of a build leaves nothing that the next run stumbles over
// or does not clear away.
func TestKilledAtTwentyMoments(t *testing.T) {
	t.Parallel()
	const kills = 20
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	registry := busyRegistry(t)
	files := map[string]string{"werf.yaml": "project: app\nconfigVersion: 1\n"}
	for i := range kills + 1 {
		files["werf.yaml"] += fmt.Sprintf("---\nimage: image%d\ndockerfile: %d.Dockerfile\n", i, i)
		files[strconv.Itoa(i)+".Dockerfile"] = fmt.Sprintf("FROM busybox\nCOPY werf.yaml /file\nRUN echo %d >/one && sleep 0.1\nRUN cat /one /file >/two && sleep 0.1\n", i)
	}
	repo := testenv.GitRepo(t, files)
	args := func(place string, images ...string) []string {
		return append([]string{"build", "--repo", registry.Host + "/" + place, "--container-registry-mirror", "http://" + registry.Host}, images...)
	}
	keys := map[string]string{}
	for _, image := range planned(t, testenv.Slipway(t), repo).Images {
		keys[image.Name] = image.Key
	}
	// What the images are, from a machine on which nothing is killed.
	testenv.Slipway(t).Run(repo.Dir, nil, args("undisturbed")...).Must(t)

	cli := testenv.Slipway(t)
	cli.Run(repo.Dir, nil, args("app", fmt.Sprintf("image%d", kills))...).Must(t) // the machine has the base now
	var whole time.Duration
	containers := 0 // that were killed
	for i := range kills {
		image := fmt.Sprintf("image%d", i)
		// The first goes on to its end, and says how long that takes.
		after := time.Duration(random.Int64N(int64(max(whole, 1))))
		took, left := killed(t, cli, repo, args("app", image), after, i > 0)
		nothingOver(t, cli, after)
		if i == 0 {
			whole = took
			t.Logf("undisturbed it takes %v", whole)
			continue
		}
		r := cli.Run(repo.Dir, nil, args("app", image)...)
		if r.Code != 0 {
			t.Fatalf("after a kill at %v the next run ends with %d:\n%s", after, r.Code, r.Stderr)
		}
		if want, got := registry.Digest("undisturbed:"+keys[image]), registry.Digest("app:"+keys[image]); got == "" || got != want {
			t.Errorf("after a kill at %v the image is %q, want %s", after, got, want)
		}
		nothingHeld(t, cli)
		nothingOver(t, cli, after)
		if strings.Contains(r.Stderr, "Nothing to do") {
			continue // the image was there, and BuildKit was not needed
		}
		nothingLeft(t, cli)
		paths, n := left()
		containers += n
		for _, path := range paths {
			t.Errorf("after a kill at %v there still is %s", after, path)
		}
	}
	t.Logf("%d containers were killed", containers)
	if over := checks(t, cli, nil, 0)["leftovers"]; over.Found != "none" {
		t.Errorf("host check finds %+v", over)
	}
	slots := usage(t, cli, "builds")
	if len(slots) != 1 || slots[0].Size > 100<<20 {
		t.Errorf("the builds have left %+v", slots)
	}
}

// nothingOver checks what host check tells of leftovers, without all else that it
// looks at.
func nothingOver(t *testing.T, cli *testenv.CLI, after time.Duration) {
	t.Helper()
	if over := leftovers(t, cli); len(over) > 0 {
		t.Errorf("after a kill at %v there is left over: %v", after, over)
	}
}

func leftovers(t *testing.T, cli *testenv.CLI) []string {
	t.Helper()
	over, err := host.Leftovers(filepath.Join(cli.Home, "state", "slipway"))
	if err != nil {
		t.Fatal(err)
	}
	return over
}

// killed kills a run after a while, unless it is to go on, and waits for all that
// it has started. left lists what there still is of its containers, and how many there were.
func killed(t *testing.T, cli *testenv.CLI, repo *testenv.Repo, args []string, after time.Duration, kill bool) (took time.Duration, left func() (paths []string, containers int)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cli.Path, args...)
	cmd.Dir = repo.Dir
	cmd.Env = cli.Env()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var processes []int
	if kill {
		time.Sleep(after)
		processes = descendants(t, cmd.Process.Pid)
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	took = time.Since(start)
	root := filepath.Join(cli.Home, "state", "slipway", "buildkit")
	for lock := filepath.Join(root, "0", "lock"); ; time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(processes, running) && free(t, lock) {
			break
		}
	}
	bundles, err := filepath.Glob(filepath.Join(root, "0", "runc-*", "executor", "*", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return took, func() (paths []string, containers int) {
		for _, b := range bundles {
			id := filepath.Base(filepath.Dir(b))
			for _, pattern := range []string{filepath.Dir(b), "/run/runc/" + id, "/sys/fs/cgroup/buildkit/" + id, "/sys/fs/cgroup/*/buildkit/" + id} {
				found, err := filepath.Glob(pattern)
				if err != nil {
					t.Fatal(err)
				}
				paths = append(paths, found...)
			}
		}
		return paths, len(bundles)
	}
}

// free tells whether nobody holds a lock.
func free(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ok, err := filelock.Try(file)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}
