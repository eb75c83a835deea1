package embedded

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages"
	"slipway/stages/buildkit/embedded/worker"
	"slipway/stages/buildkit/host"

	"github.com/moby/buildkit/client/llb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
)

func TestMain(m *testing.M) {
	worker.Main()
	os.Exit(m.Run())
}

var (
	platform = ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSession(t *testing.T, o oci.Options) *oci.Session {
	t.Helper()
	o.DockerConfig = t.TempDir()
	s, err := oci.NewSession(o)
	check(t, err)
	return s
}

func marshal(t *testing.T, state llb.State) *llb.Definition {
	t.Helper()
	def, err := state.Marshal(t.Context(), llb.Platform(platform))
	check(t, err)
	return def
}

// kitchen is a solver with a layout to build into.
type kitchen struct {
	*Solver
	repo oci.Repository
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	s := newSession(t, oci.Options{})
	ref, err := oci.ParseReference("oci:" + t.TempDir())
	check(t, err)
	repo, err := s.Repository(ref)
	check(t, err)
	check(t, oci.Prepare(t.Context(), repo))
	k := &kitchen{Solver: New(Options{StateDir: t.TempDir(), Session: s}), repo: repo}
	t.Cleanup(func() { // before the directory is removed
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		check(t, host.RemoveAll(context.WithoutCancel(t.Context()), filepath.Join(k.opts.StateDir, "buildkit")))
	})
	return k
}

// build is state with a context of one directory.
func (k *kitchen) build(t *testing.T, state llb.State, dir string) stages.Build {
	t.Helper()
	return stages.Build{
		Name: "app", Platform: platform, Definition: marshal(t, state), Repo: k.repo.Reference(),
		Config: []byte(`{"architecture":"` + platform.Architecture + `","os":"linux"}`),
		Contexts: map[string]func(func(error)) fsutil.FS{"context": func(func(error)) fsutil.FS {
			files, err := fsutil.NewFS(dir)
			check(t, err)
			return files
		}},
	}
}

// files are the names and contents of an image's files, all layers together.
func (k *kitchen) files(t *testing.T, desc ocispec.Descriptor) map[string]string {
	t.Helper()
	manifest, _, _, err := oci.ReadImage(t.Context(), k.repo, desc)
	check(t, err)
	files := map[string]string{}
	for _, layer := range manifest.Layers {
		rc, err := k.repo.Fetch(t.Context(), layer)
		check(t, err)
		z, err := gzip.NewReader(rc)
		check(t, err)
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			check(t, err)
			content, err := io.ReadAll(r)
			check(t, err)
			files[h.Name] = string(content)
		}
		rc.Close()
	}
	return files
}

// mounted lists what is mounted below the state directory (proc_pid_mountinfo(5)).
func (k *kitchen) mounted(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	check(t, err)
	var points []string
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, k.opts.StateDir) {
			points = append(points, line)
		}
	}
	return points
}

// slots are the state directories in use or left by what was started.
func (k *kitchen) slots(t *testing.T) []string {
	t.Helper()
	slots, err := filepath.Glob(filepath.Join(k.opts.StateDir, "buildkit", "*"))
	check(t, err)
	return slots
}

// busybox is a context with the machine's static busybox, which runs in an
// image that has nothing else.
func busybox(t *testing.T) (dir string) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("%v: apt-get install busybox-static", err)
	}
	content, err := os.ReadFile(path)
	check(t, err)
	dir = t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "busybox"), content, 0o755))
	return dir
}

func shell(script string) llb.State {
	return llb.Scratch().File(llb.Copy(llb.Local("context"), "/busybox", "/busybox")).
		Run(shellArgs(script)).Root()
}

func shellArgs(script string) llb.RunOption {
	return llb.Args([]string{"/busybox", "sh", "-c", script})
}

// Without a RUN nothing is run: a build works where there is no runtime.
func TestSolveWithoutRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	k, dir := newKitchen(t), t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "hello"), []byte("hi"), 0o644))
	if slots := k.slots(t); len(slots) > 0 {
		t.Errorf("started before the first build: %v", slots)
	}
	state := llb.Scratch().File(llb.Copy(llb.Local("context"), "/hello", "/copied")).File(llb.Mkfile("/made", 0o644, []byte("x")))
	desc, err := k.Solve(t.Context(), k.build(t, state, dir))
	check(t, err)
	if got := k.files(t, desc); got["copied"] != "hi" || got["made"] != "x" {
		t.Errorf("the image holds %q", got)
	}
	if desc.MediaType != ocispec.MediaTypeImageManifest || len(desc.Annotations) > 0 {
		t.Errorf("the result is %+v", desc)
	}
	if _, err := k.Solve(t.Context(), k.build(t, shell("true"), dir)); !errors.Is(err, host.ErrNoRuntime) {
		t.Errorf("a RUN with no runtime: %v", err)
	}
}

func TestSolveWithRun(t *testing.T) {
	dir := busybox(t)
	var digests []string
	for range 2 { // with state of its own, as on two machines
		k := newKitchen(t)
		desc, err := k.Solve(t.Context(), k.build(t, shell("echo built >/out"), dir))
		check(t, err)
		if got := k.files(t, desc)["out"]; got != "built\n" {
			t.Errorf("the RUN wrote %q", got)
		}
		digests = append(digests, desc.Digest.String())
		check(t, k.Close())
		if left := k.mounted(t); len(left) > 0 {
			t.Errorf("left mounted: %q", left)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("the same build gives %s and %s", digests[0], digests[1])
	}
}

func TestFailingRun(t *testing.T) {
	k := newKitchen(t)
	_, err := k.Solve(t.Context(), k.build(t, shell("echo one; echo two >&2; exit 7"), busybox(t)))
	var e *stages.SolveError
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "exit code: 7") || strings.Contains(e.Error(), "failed to solve") {
		t.Fatalf("got %v", err)
	}
	slices.Sort(e.Tail) // of two streams
	if !slices.Equal(e.Tail, []string{"one", "two"}) {
		t.Errorf("the tail is %q", e.Tail)
	}
}

// A file that cannot be read ends the build with the reason.
func TestContextThatCannotBeRead(t *testing.T) {
	k := newKitchen(t)
	broken := errors.New("the disk is on fire")
	build := k.build(t, llb.Scratch().File(llb.Copy(llb.Local("context"), "/", "/")), t.TempDir())
	files := build.Contexts["context"]
	build.Contexts["context"] = func(onError func(error)) fsutil.FS {
		onError(broken)
		return files(onError)
	}
	if desc, err := k.Solve(t.Context(), build); !errors.Is(err, broken) {
		t.Errorf("got %v, %v", desc, err)
	}
}

// Builds that begin together share one start: a second one would take a second
// state directory.
func TestParallelSolves(t *testing.T) {
	k, dir := newKitchen(t), busybox(t)
	var group sync.WaitGroup
	for _, word := range []string{"a", "b", "c", "d"} {
		build := k.build(t, shell("echo "+word+" >/out"), dir)
		group.Go(func() {
			desc, err := k.Solve(t.Context(), build)
			if err != nil {
				t.Error(err)
			} else if got := k.files(t, desc)["out"]; got != word+"\n" {
				t.Errorf("the build of %s wrote %q", word, got)
			}
		})
	}
	group.Wait()
	if slots := k.slots(t); len(slots) != 1 {
		t.Errorf("state directories are %q, want one", slots)
	}
	check(t, k.Close())
	if left := k.mounted(t); len(left) > 0 {
		t.Errorf("left mounted: %q", left)
	}
}

// solving is a node that builds, since only a run's nodes tell of their steps.
type solving struct {
	solver stages.Solver
	build  stages.Build
}

func (solving) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }
func (s solving) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	return s.solver.Solve(ctx, s.build)
}

// onOutput is called when a step first prints something.
type onOutput func()

func (f onOutput) Event(e engine.Event) {
	if e.Kind == engine.EventLog {
		f()
	}
}

// A RUN that is cut off is gone, with its mounts, when the solver is closed.
func TestCancelledRun(t *testing.T) {
	k, enough := newKitchen(t), errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	node := &engine.Node{ID: "build", Stage: solving{k, k.build(t, shell("echo started; exec /busybox sleep 1000"), busybox(t))}}
	report, err := engine.Run(ctx, []*engine.Node{node}, engine.Options{
		Grace: time.Minute, Sinks: []engine.Sink{onOutput(func() { cancel(enough) })},
	})
	if !errors.Is(err, enough) || !errors.Is(report.Nodes[0].Err, enough) {
		t.Errorf("got %v, want the cause of the cancellation", err)
	}
	check(t, k.Close())
	if left := k.mounted(t); len(left) > 0 {
		t.Errorf("left mounted: %q", left)
	}
}

func TestClose(t *testing.T) {
	unused := newKitchen(t)
	used := newKitchen(t)
	build := used.build(t, llb.Scratch().File(llb.Mkdir("/a", 0o755)), t.TempDir())
	_, err := used.Solve(t.Context(), build)
	check(t, err)
	for name, k := range map[string]*kitchen{"never started": unused, "started": used} {
		for range 2 {
			if err := k.Close(); err != nil {
				t.Errorf("%s: closing: %v", name, err)
			}
		}
		slots := k.slots(t)
		if _, err := k.Solve(t.Context(), build); err == nil || !strings.Contains(err.Error(), "ended") {
			t.Errorf("%s: a build after the end: %v", name, err)
		}
		if now := k.slots(t); len(now) != len(slots) {
			t.Errorf("%s: a build after the end started BuildKit", name)
		}
	}
	// The state directory is free again for the next run.
	next := newKitchen(t)
	next.opts.StateDir = used.opts.StateDir
	_, err = next.Solve(t.Context(), build)
	check(t, err)
	if slots := next.slots(t); len(slots) != 1 {
		t.Errorf("the next run has not taken the same state directory: %q", slots)
	}
}
