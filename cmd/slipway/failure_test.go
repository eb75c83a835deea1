package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// busyApp is an image with a RUN.
func busyApp(run string) map[string]string {
	return map[string]string{
		"werf.yaml":       "project: app\nconfigVersion: 1\n---\nimage: good\ndockerfile: good.Dockerfile\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile":      "FROM busybox\nRUN echo first step\nRUN " + run + "\n",
		"good.Dockerfile": "FROM busybox\nRUN echo good\n",
	}
}

func busyRegistry(t *testing.T, options ...testenv.Option) *testenv.RegistryServer {
	registry := testenv.Registry(t, options...)
	registry.PushImage("library/busybox:latest", testenv.BusyboxImage(t))
	return registry
}

func TestFailingRun(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("echo before the end; echo the reason >&2; exit 7"))
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/published/%image%:v1",
		"--container-registry-mirror", "http://" + registry.Host}
	cli := testenv.Slipway(t)
	r := cli.Run(repo.Dir, nil, args...)
	if r.Code != 1 {
		t.Errorf("exit code %d, want 1", r.Code)
	}
	for _, want := range []string{"before the end", "the reason", "Dockerfile:3: ", "3 | RUN echo before the end", "exit code: 7"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("standard error lacks %q:\n%s", want, r.Stderr)
		}
	}
	if n := strings.Count(r.Stderr, "exit code: 7"); n != 1 {
		t.Errorf("the cause is told %d times:\n%s", n, r.Stderr)
	}
	if r.Stdout != "" {
		t.Errorf("something was published: %s", r.Stdout)
	}
	for _, name := range []string{"app", "good"} {
		if d := registry.Digest("published/" + name + ":v1"); d != "" {
			t.Errorf("the alias of %s moved", name)
		}
	}

	repo.Write("Dockerfile", "FROM busybox\nRUN echo first step\nRUN echo mended\n")
	repo.Commit("mend")
	r = cli.Run(repo.Dir, nil, args...).Must(t)
	if strings.Contains(r.Stderr, "[build good]") {
		t.Errorf("what was built before is built again:\n%s", r.Stderr)
	}
	if !strings.Contains(r.Stderr, "RUN echo first step: cached") {
		t.Errorf("the step that succeeded was not kept:\n%s", r.Stderr)
	}
	for _, name := range []string{"app", "good"} {
		if registry.Digest("published/"+name+":v1") == "" {
			t.Errorf("%s is not published", name)
		}
	}
}

// Ctrl-C ends a run within a second, moves nothing, and leaves a state from which
// the same command finishes the work.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("if [ -e /stop ]; then sleep 1000; fi"))
	repo.Write("Dockerfile", "FROM busybox\nCOPY wait /wait\nRUN echo started && sh /wait\n")
	repo.Write("wait", "wget -q -O - http://"+registry.Host+"/v2/wait; sleep 1000")
	repo.Commit("wait")
	args := []string{"export", "app", "--repo", registry.Host + "/app", "--tag", registry.Host + "/published/app:v1",
		"--container-registry-mirror", "http://" + registry.Host}
	cli := testenv.Slipway(t)

	ctx, interrupt := context.WithCancel(t.Context())
	var since time.Time
	go func() { // the RUN tells that it runs by asking the registry
		for ctx.Err() == nil {
			if registry.Count(func(r testenv.Request) bool { return strings.HasPrefix(r.Path, "/v2/wait") }) > 0 {
				since = time.Now()
				interrupt()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	r := cli.RunContext(ctx, repo.Dir, nil, args...)
	t.Logf("ended %s after the interrupt", time.Since(since)) // a program that does not end is killed, and its exit code is another
	if r.Code != 1 {
		t.Errorf("exit code %d, want 1", r.Code)
	}
	if registry.Digest("published/app:v1") != "" {
		t.Error("the alias moved")
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), cli.Home) {
		t.Errorf("something is left mounted (%v):\n%s", err, mounts)
	}
	repo.Write("wait", "echo no more")
	repo.Commit("no more waiting")
	cli.Run(repo.Dir, nil, args...).Must(t)
	if registry.Digest("published/app:v1") == "" {
		t.Error("not published by the next run")
	}
}

// Errors, each tried: what is said, and the exit code.
func TestErrors(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	denied := testenv.Registry(t, testenv.ReadOnly(""))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unreachable := closed.Addr().String()
	closed.Close()
	closedToUs := testenv.Registry(t, testenv.User("somebody", "else"))
	files := map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n---\nimage: other\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox\nRUN true\n",
	}
	export := func(to string) []string {
		return []string{"export", "app", "--repo", to + "/app", "--tag", to + "/app:v1", "--container-registry-mirror", "http://" + registry.Host}
	}
	cases := []struct {
		name  string
		edit  func(r *testenv.Repo) // the commit
		env   []string
		args  []string
		code  int
		wants []string
	}{
		{"no git repository", func(r *testenv.Repo) { r.Remove(".git") }, nil, []string{"build"}, 2, []string{"git repository", "git init"}},
		{"no commit", func(r *testenv.Repo) { r.Remove(".git"); r.Git("init", "-q") }, nil, []string{"build"}, 2, []string{"no commit", "git commit"}},
		{"no werf.yaml", func(r *testenv.Repo) { r.Remove("werf.yaml") }, nil, []string{"build"}, 2, []string{"werf.yaml", "configVersion: 1"}},
		{"no such directory", nil, nil, []string{"build", "--dir", "nowhere"}, 2, []string{"nowhere"}},
		{"unknown key", func(r *testenv.Repo) {
			r.Write("werf.yaml", "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfle: Dockerfile\n")
		}, nil, []string{"build"}, 2, []string{"werf.yaml:5", "dockerfle", `did you mean "dockerfile"?`}},
		{"unknown image name", nil, nil, []string{"build", "ap"}, 2, []string{`no image "ap"`, `did you mean "app"?`}},
		{"missing Dockerfile", func(r *testenv.Repo) { r.Remove("Dockerfile") }, nil, []string{"build"}, 2, []string{"werf.yaml:5", "no file Dockerfile in the commit"}},
		{"uncommitted Dockerfile", func(r *testenv.Repo) { r.Remove("Dockerfile") }, nil, []string{"build"}, 2, []string{"commit it"}},
		{"Dockerfile syntax", func(r *testenv.Repo) { r.Write("Dockerfile", "FROM busybox\nRNU true\n") }, nil, []string{"build"}, 2, []string{"Dockerfile:2", "RNU", "2 | RNU true"}},
		{"unknown target", func(r *testenv.Repo) { r.Write("werf.yaml", files["werf.yaml"]+"target: nothing\n") }, nil, []string{"build"}, 2, []string{"nothing"}},
		{"missing context", func(r *testenv.Repo) { r.Write("werf.yaml", files["werf.yaml"]+"context: nowhere\n") }, nil, []string{"build"}, 2, []string{"nowhere"}},
		{"unreachable registry", nil, nil, export(unreachable), 1, []string{unreachable, "connection refused"}},
		{"denied push", nil, nil, export(denied.Host), 1, []string{denied.Host, "denied"}},
		{"wrong credentials", nil, nil, export(closedToUs.Host), 1, []string{closedToUs.Host, "slipway cr login"}},
		{"unknown base image", func(r *testenv.Repo) { r.Write("Dockerfile", "FROM "+registry.Host+"/nosuchimage\n") }, nil,
			[]string{"build"}, 1, []string{registry.Host + "/nosuchimage", "Dockerfile:1"}},
		{"no OCI runtime", nil, []string{"PATH=" + gitOnly(t)}, export(registry.Host), 1, []string{"no OCI runtime", "apt-get install runc"}},
		{"two images, one name", nil, nil, []string{"export", "--tag", registry.Host + "/app:v1"}, 2, []string{`"app" and "other" one name`, "%image%"}},
		{"no tag", nil, nil, []string{"export"}, 2, []string{"--tag"}},
		{"tag without a registry", nil, nil, []string{"export", "app", "--tag", "app:v1"}, 2, []string{"--tag app:v1"}},
		{"repository with a tag", nil, nil, []string{"build", "--repo", registry.Host + "/app:v1"}, 2, []string{"--repo"}},
		{"not built yet", nil, nil, append(export(registry.Host), "-Z"), 1, []string{`image "app" is not built`}},
		{"no chart", nil, nil, []string{"bundle", "publish"}, 2, []string{".helm", "templates"}},
		{"bad bundle tag", nil, nil, []string{"bundle", "publish", "--tag", "a/b"}, 2, []string{`--tag "a/b"`}},
		{"unknown flag", nil, nil, []string{"build", "--nothing"}, 2, []string{"--nothing"}},
		{"flag of the reference", nil, nil, []string{"build", "--follow"}, 2, []string{"--follow is not supported yet"}},
		{"bad platform", nil, nil, []string{"plan", "--platform", "pentium"}, 2, []string{"pentium", "linux/amd64"}},
		{"bad variable", nil, []string{"WERF_PARALLEL_TASKS_LIMIT=many"}, []string{"build"}, 2, []string{"WERF_PARALLEL_TASKS_LIMIT"}},
		{"template", func(r *testenv.Repo) { r.Write("werf.yaml", files["werf.yaml"]+"target: {{ env \"X\" }}\n") }, nil, []string{"build"}, 2, []string{"werf.yaml:9", `"X"`, "allowEnvVariables", "- X"}},
		{"secret", func(r *testenv.Repo) { r.Write("werf.yaml", files["werf.yaml"]+"secrets: [{env: X}]\n") }, nil, []string{"build"}, 2, []string{"werf.yaml:9", `secret from env "X" is not allowed by giterminism`, "- X"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := testenv.GitRepo(t, files)
			if c.edit != nil {
				c.edit(repo)
				if _, err := os.Stat(repo.Path(".git/logs/HEAD")); err == nil {
					repo.Commit("edit")
				}
			}
			r := testenv.Slipway(t).Run(repo.Dir, c.env, c.args...)
			if r.Code != c.code {
				t.Errorf("exit code %d, want %d", r.Code, c.code)
			}
			for _, want := range c.wants {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("no %q in:", want)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("%s", r.Stderr)
			}
			if strings.Contains(r.Stderr, "goroutine ") || r.Stdout != "" {
				t.Errorf("standard output %q, standard error\n%s", r.Stdout, r.Stderr)
			}
		})
	}
}

// gitOnly is a directory for PATH with git and nothing else.
func gitOnly(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Symlink(testenv.Tool(t, "git"), filepath.Join(dir, "git")); err != nil {
		t.Fatal(err)
	}
	return dir
}
