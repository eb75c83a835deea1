package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// ownersApp has files of many owners and modes, as packages have. What BuildKit
// needs of the machine to make them is not in the image.
var ownersApp = map[string]string{
	"werf.yaml": "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
	"Dockerfile": `FROM busybox AS made
RUN mkdir -p /out/home && cd /out && echo 1 >suid && echo 2 >sgid && echo 3 >mail && echo 4 >high && ln mail other && ln -s /nowhere link && \
    chmod 4755 suid && chown 0:42 sgid && chmod 2755 sgid && chown 8:8 mail && chown -h 8:8 link && chown 65534:65534 high && \
    chown 1000:1000 home && chmod 1777 home
USER 1000:1000
RUN echo mine >/out/home/mine && test "$(id -u):$(id -g)" = 1000:1000
FROM scratch
COPY --from=made /out /out
COPY --chown=12345:54321 --chmod=640 given /given
`,
	"given": "given\n",
}

// A user without privileges makes the same image as root: whoever runs this test,
// its digest is this one.
func TestEverybodyMakesTheSameImage(t *testing.T) {
	t.Parallel()
	makesTheSameImage(t, testenv.Slipway(t))
}

func makesTheSameImage(t *testing.T, cli *testenv.CLI, env ...string) {
	t.Helper()
	const want = "sha256:4032dacf584956725deb78c4977cc3e897485732ff4436a28394ec6f8c42a4ff"
	registry := busyRegistry(t)
	cli.Run(testenv.GitRepo(t, ownersApp).Dir, env, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:v1",
		"--platform", "linux/amd64", "--container-registry-mirror", "http://"+registry.Host).Must(t)
	if got := registry.Digest("app:v1"); got != want {
		t.Errorf("the image is %s, want %s", got, want)
	}
	files := imageFiles(t, registry.Image("app:v1"))
	if files["out/home/mine"].content != "mine\n" || files["given"].content != "given\n" {
		t.Errorf("the image has %v", files)
	}
}

// The umask of the user is not in the image.
func TestUmask(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox AS tools\nFROM scratch\nCOPY --from=tools /bin /bin\nWORKDIR /work/dir\nRUN mkdir made && umask >made/umask\n",
	})
	digests := map[string]string{}
	for _, umask := range []string{"022", "077", "000"} {
		cli := testenv.Slipway(t)
		shell := *cli
		shell.Path = testenv.Tool(t, "bash")
		place := registry.Host + "/umask" + umask
		shell.Run(repo.Dir, nil, "-c", "umask "+umask+` && exec "$@"`, "bash", cli.Path, "export", "--repo", place, "--tag", place+":v1",
			"--container-registry-mirror", "http://"+registry.Host).Must(t)
		digests[registry.Digest("umask"+umask+":v1")] = umask
	}
	if len(digests) != 1 {
		t.Errorf("the same image with different umasks: %v", digests)
	}
}

// Where a new /proc cannot be mounted, as in most containers, RUNs see the
// processes of their user, and still none goes on.
func TestHiddenProc(t *testing.T) {
	t.Parallel()
	cli := testenv.Slipway(t)
	inside := func(dir string, args ...string) (stdout, stderr string) {
		t.Helper()
		// As in a container: root without the right to mount, and something mounted
		// over a part of /proc.
		unshare := []string{"--mount", "sh", "-c", "mount -t tmpfs none /proc/fs && exec setpriv --bounding-set=-sys_admin " + cli.Path + ` "$@"`, "slipway"}
		if os.Geteuid() != 0 {
			unshare = append([]string{"--user", "--map-auto", "--map-root-user"}, unshare...)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", append(unshare, args...)...)
		var out, told bytes.Buffer
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, cli.Env(), &out, &told
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s%s", err, &out, &told)
		}
		return out.String(), told.String()
	}
	stdout, _ := inside(t.TempDir(), "host", "check")
	if !strings.Contains(stdout, "isolation    limited  user namespace, own mounts\n") || !strings.Contains(stdout, "systempaths=unconfined") {
		t.Errorf("host check says\n%s", stdout)
	}
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("test -d /proc/self; sleep 98765 >/dev/null 2>&1 &"))
	_, stderr := inside(repo.Dir, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/%image%:v1",
		"--container-registry-mirror", "http://"+registry.Host)
	if registry.Digest("app:v1") == "" {
		t.Errorf("nothing is published:\n%s", stderr)
	}
	if out, err := exec.Command("pgrep", "-f", "^sleep 98765$").CombinedOutput(); err == nil {
		t.Errorf("a process of a RUN goes on: %s", out)
	}
}
