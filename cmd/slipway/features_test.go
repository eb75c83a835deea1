package main

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	digest "github.com/opencontainers/go-digest"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// What people write in Dockerfiles, built by one run: every image shows what
// became of a few instructions.
func TestDockerfileFeatures(t *testing.T) {
	t.Parallel()
	registry, server := busyRegistry(t), serveFiles(t)
	registry.PushImage("library/parent:latest", testenv.TreeImage(t, testenv.BusyboxImage(t), map[string]string{"etc/parent": "x"}, func(c *v1.Config) {
		c.OnBuild = []string{"RUN echo triggered >/trigger", "ENV TRIGGERED=yes"}
	}))
	lib := testenv.GitRepo(t, map[string]string{"sub/in-git": "from git\n"})
	archive := tarOf(t, map[string]string{"in-tar": "from a tar file\n"})
	url := server.set("/file", "from a URL\n")
	tarURL := server.set("/file.tar", archive)
	socket, key := sshAgent(t, 2), sshKey(t)

	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": `project: app
configVersion: 1
---
{image: config, dockerfile: config.Dockerfile}
---
{image: copies, dockerfile: copies.Dockerfile}
---
{image: adds, dockerfile: adds.Dockerfile}
---
image: runs
dockerfile: runs.Dockerfile
addHost: ["one.host:10.0.0.1", "two.host:10.0.0.2"]
secrets: [{id: value, value: given}, {env: TOKEN}, {src: secret.txt}]
ssh: default
---
{image: key, dockerfile: key.Dockerfile, ssh: "deploy=` + key + `"}
---
{image: allowed, dockerfile: allowed.Dockerfile}
`,
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {secrets: {allowValueIds: [value], allowEnvVariables: [TOKEN], allowFiles: [secret.txt]}}\n",
		"secret.txt":            "in a file",
		"archive.tar":           archive,
		"agentkeys":             agentkeys(t),
		"tree/a/one.txt":        "one", "tree/a/one.md": "md", "tree/b/deep/two.txt": "two", "tree/b/deep/two.md": "md",
		"config.Dockerfile": `FROM parent AS first
SHELL ["/bin/sh", "-ec"]
ONBUILD RUN echo own >/own
ONBUILD LABEL own=trigger
FROM first
RUN false || echo "$0 $-" | grep -q e && echo "$TRIGGERED" >/shell
WORKDIR /work
WORKDIR sub
EXPOSE 80 53/udp 8000-8002
VOLUME ["/data", "/more"]
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --start-period=1m --start-interval=2s --retries=4 CMD ["wget", "-q", "localhost"]
USER 1000:1000
LABEL a="b c"
ENTRYPOINT ["/entry"]
CMD echo $HOME
`,
		"copies.Dockerfile": `# syntax=docker/dockerfile:1-labs
FROM scratch
COPY --parents tree/./*/deep/*.txt tree/a /parents/
COPY --exclude=**/*.md --exclude=b tree /excluded
COPY --chmod=u=rwx,go=r tree/a/one.txt /symbolic
COPY --chmod=0751 --chown=12:34 --link tree/a/one.txt /linked/
COPY <<-"EOT" <<other /docs/
	not $EXPANDED
	EOT
second
other
`,
		"adds.Dockerfile": `FROM scratch
ADD archive.tar /auto/
ADD --unpack=false archive.tar /kept/
ADD --unpack ` + tarURL + ` /unpacked/
ADD ` + tarURL + ` /fetched/
ADD --checksum=` + digest.FromString("from a URL\n").String() + ` --chmod=600 ` + url + ` /checked
ADD ` + serveGit(t, lib) + `#main:sub /git/
`,
		"runs.Dockerfile": `FROM busybox
RUN --mount=type=secret,id=value --mount=type=secret,id=TOKEN,env=T --mount=type=secret,id=secret.txt,target=/else/where,mode=0440,uid=5 \
    echo "$(cat /run/secrets/value) $T $(cat /else/where) $(stat -c %a:%u /else/where)" | sed s/i/1/g >/secrets
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent && test -z "$T" && test ! -e /else
RUN --mount=type=tmpfs,target=/t,size=1m echo x >/t/x && ! dd if=/dev/zero of=/t/y bs=1M count=2 2>/dev/null && grep ' /t tmpfs' /proc/mounts
RUN --mount=type=bind,from=parent,source=/etc,target=/m --mount=type=bind,source=tree,target=/rw,rw cp /m/parent /bound && echo changed >/rw/a/one.txt && cat /rw/a/one.txt >>/bound
RUN --mount=type=bind,source=tree,target=/rw cat /rw/a/one.txt >>/bound && ! touch /rw/new
RUN --mount=type=ssh --mount=type=bind,source=agentkeys,target=/agentkeys /agentkeys >/keys
RUN --network=none ! wget -q -O - http://` + registry.Host + `/v2/
RUN wget -q -O - http://` + registry.Host + `/v2/ && grep -h '10.0.0.*host' /etc/hosts >/hosts
RUN <<EOF1 cat >/heredocs && <<-EOF2 cat >>/heredocs
$HOME
EOF1
	second
	EOF2
RUN <<EOT
#!/bin/awk -f
BEGIN { print "by awk" >"/shebang" }
EOT
`,
		"key.Dockerfile": "FROM busybox\nRUN --mount=type=ssh,id=deploy,mode=0666,target=/agent --mount=type=bind,source=agentkeys,target=/agentkeys SSH_AUTH_SOCK=/agent /agentkeys >/keys && stat -c %a /agent >>/keys\n",
		"allowed.Dockerfile": "FROM busybox\nRUN --security=insecure grep CapEff /proc/self/status >/insecure\nRUN grep CapEff /proc/self/status >/sandbox\n" +
			"RUN --network=host wget -q -O /host http://" + registry.Host + "/v2/\n",
	})
	chmod(t, repo, "agentkeys", 0o755)
	repo.Commit("modes")
	cli := testenv.Slipway(t)
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/out:%image%", "--container-registry-mirror", "http://" + registry.Host}
	r := cli.Run(repo.Dir, []string{"TOKEN=of the environment", "SSH_AUTH_SOCK=" + socket}, append(args, "--allow", "network.host", "--allow=security.insecure")...).Must(t)
	for _, secret := range []string{"given", "of the environment", "in a file"} {
		if strings.Contains(strings.ReplaceAll(r.Stderr, "is given", ""), secret) {
			t.Errorf("the secret %q is shown:\n%s", secret, r.Stderr)
		}
	}

	// What is there is there, whatever builds are allowed and given.
	cli.Run(repo.Dir, nil, append(args, "--require-built-images")...).Must(t)

	busybox, err := registry.Image("library/busybox:latest").Layers()
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]map[string]string{ // path -> MODE UID:GID CONTENT, "*" is anything
		"config": {"trigger": "644 0:0 triggered\n", "own": "644 0:0 own\n", "shell": "644 0:0 yes\n"},
		"copies": {
			"parents/tree/a/one.txt": "644 0:0 one", "parents/tree/a/one.md": "644 0:0 md", "parents/b/deep/two.txt": "644 0:0 two",
			"excluded/a/one.txt": "644 0:0 one", "symbolic": "744 0:0 one", "linked/one.txt": "751 12:34 one",
			"docs/EOT": "644 0:0 not $EXPANDED\n", "docs/other": "644 0:0 second\n",
		},
		"adds": {
			"auto/in-tar": "644 0:0 from a tar file\n", "kept/archive.tar": "644 0:0 " + archive, "unpacked/in-tar": "644 0:0 from a tar file\n",
			"fetched/file.tar": "600 0:0 " + archive, "checked": "600 0:0 from a URL\n", "git/in-git": "644 0:0 from git\n",
		},
		"runs": {
			"secrets": "644 0:0 g1ven of the env1ronment 1n a f1le 440:5\n", "bound": "644 0:0 xchanged\none", "keys": "644 0:0 2\n",
			"hosts": "644 0:0 10.0.0.1\tone.host\n10.0.0.2\ttwo.host\n", "heredocs": "644 0:0 /root\nsecond\n", "shebang": "644 0:0 by awk\n",
		},
		"key":     {"keys": "644 0:0 1\n666\n"},
		"allowed": {"insecure": "*", "sandbox": "*", "host": "*"},
	} {
		img, from := registry.Image("out:"+image), 0
		switch image {
		case "config":
			from = len(busybox) + 1
		case "runs", "key", "allowed":
			from = len(busybox)
		}
		got := map[string]string{}
		eachEntry(t, img, from, func(h *tar.Header, content string) {
			if h.Typeflag == tar.TypeReg {
				got[h.Name] = fmt.Sprintf("%o %d:%d %s", h.Mode, h.Uid, h.Gid, content)
			}
		})
		for name, w := range want {
			if g, ok := got[name]; !ok || g != w && w != "*" {
				t.Errorf("%s: %s is %.200q, want %.200q", image, name, g, w)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("%s: %s should not be there", image, name)
			}
		}
		if image == "allowed" && got["insecure"] == got["sandbox"] {
			t.Errorf("with --security=insecure a RUN has %q, and without", got["insecure"])
		}
	}
	sameConfig(t, registry.Image("out:config"))
}

// sameConfig checks the config that config.Dockerfile makes.
func sameConfig(t *testing.T, img v1.Image) {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var health struct {
		Config struct{ Healthcheck struct{ StartInterval int64 } } // which v1.Config has not
	}
	if err := json.Unmarshal(raw, &health); err != nil || health.Config.Healthcheck.StartInterval != 2e9 {
		t.Errorf("start interval %v, %v", health, err)
	}
	c := file.Config
	c.Env, c.ArgsEscaped = nil, false // the base's, and that of the trigger, which the shell has shown; Docker's own
	got, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(v1.Config{
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "wget", "-q", "localhost"}, Interval: 5e9, Timeout: 3e9, StartPeriod: 60e9, Retries: 4},
		Cmd:         []string{"/bin/sh", "-ec", "echo $HOME"}, Entrypoint: []string{"/entry"}, Shell: []string{"/bin/sh", "-ec"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}},
		Volumes:      map[string]struct{}{"/data": {}, "/more": {}},
		Labels:       map[string]string{"a": "b c", "own": "trigger"}, StopSignal: "SIGQUIT", User: "1000:1000", WorkingDir: "/work/sub",
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the config is\n%s\nwant\n%s", got, want)
	}
}

// What is asked for and not there, or not allowed, is told with its place and
// the way out, and nothing is published.
func TestDockerfileRefusals(t *testing.T) {
	t.Parallel()
	registry, server := busyRegistry(t), serveFiles(t)
	url := server.set("/file", "x")
	wrong := digest.FromString("y").String()
	cases := map[string]struct {
		dockerfile, section string
		args                []string
		code                int
		wants               []string
	}{
		"secret": {"FROM busybox\nRUN --mount=type=secret,id=token,required true\n", "", nil, 2,
			[]string{`Dockerfile:2: secret "token" is required and not given`, "2 | RUN --mount", "{id: token, env: VARIABLE}"}},
		"secrets": {"FROM busybox AS a\nRUN --mount=type=secret,id=token,env=T,required true\nRUN --mount=type=secret,id=other,required true\n", "", nil, 2,
			[]string{`Dockerfile:2: secret "token" is`, `Dockerfile:3: secret "other" is`}},
		"agent": {"FROM busybox\nRUN --mount=type=ssh,required true\n", "", nil, 2, []string{`Dockerfile:2: ssh agent "default" is required and not given`, "write ssh: default in"}},
		"other-agent": {"FROM busybox\nRUN --mount=type=ssh,id=deploy,required true\n", "ssh: default=" + sshKey(t), nil, 2,
			[]string{`Dockerfile:2: ssh agent "deploy" is`, "deploy=KEYFILE"}},
		"checksum": {"FROM scratch\nADD --checksum=" + wrong + " " + url + " /\n", "", nil, 1, []string{"Dockerfile:2: " + url + " is not what --checksum says", "2 | ADD --checksum", wrong, digest.FromString("x").String()}},
		"host": {"FROM busybox\n\nRUN --network=host true\n", "", nil, 2,
			[]string{"Dockerfile:3: RUN --network=host is not allowed", "3 | RUN --network=host true", "--allow network.host", "network: host"}},
		"host-by-flag": {"FROM busybox\n\nRUN --network=host true\n", "", []string{"--backend-network=none"}, 2, []string{"--allow network.host"}},
		"insecure": {"FROM busybox\nRUN --security=insecure true\n", "network: host", []string{"--allow=network.host"}, 2,
			[]string{"Dockerfile:2: RUN --security=insecure is not allowed", "--allow security.insecure"}},
		"device":   {"FROM busybox\nRUN --device=nvidia.com/gpu=all true\n", "", []string{"--allow=security.insecure"}, 2, []string{"Dockerfile:2: RUN --device is not supported"}},
		"allow":    {"FROM scratch\nLABEL a=b\n", "", []string{"--allow=device"}, 2, []string{`--allow "device" is not known`, "network.host or security.insecure"}},
		"caches":   {"FROM scratch\nLABEL a=b\n", "", []string{"--cache-mounts=lokal"}, 2, []string{`--cache-mounts "lokal"`, "./lokal"}},
		"builder":  {"FROM scratch\nLABEL a=b\n", "", []string{"--cache-mounts=off", "--builder=tcp://127.0.0.1:1"}, 2, []string{"--cache-mounts is for this machine's BuildKit"}},
		"frontend": {"# syntax=docker/buildx:1\nFROM scratch\nLABEL a=b\n", "", nil, 2, []string{"Dockerfile:1:1: ", `"docker/buildx:1" is not supported`}},
		"check": {"# check=error=true\nFROM busybox\nCMD x\n", "", nil, 2,
			[]string{"Dockerfile:3: JSON arguments recommended", "3 | CMD x", "# check=skip=JSONArgsRecommended;error=true"}},
	}
	files := map[string]string{"werf.yaml": "project: app\nconfigVersion: 1\n"}
	for name, c := range cases {
		files["werf.yaml"] += fmt.Sprintf("---\nimage: %s\ncontext: %[1]s\ndockerfile: Dockerfile\n%s\n", name, c.section)
		files[name+"/Dockerfile"] = c.dockerfile
	}
	repo, cli := testenv.GitRepo(t, files), testenv.Slipway(t)
	for name, c := range cases {
		r := cli.Run(repo.Dir, nil, append([]string{"build", name, "--repo", registry.Host + "/app", "--container-registry-mirror", "http://" + registry.Host}, c.args...)...)
		if r.Code != c.code || r.Stdout != "" {
			t.Errorf("%s: exit code %d, want %d, output %q\n%s", name, r.Code, c.code, r.Stdout, r.Stderr)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(r.Stderr, want) {
				t.Errorf("%s: no %q in\n%s", name, want, r.Stderr)
			}
		}
	}
	if tags := registry.Tags("app"); len(tags) > 0 {
		t.Errorf("there are the tags %v", tags)
	}
}

// Findings of BuildKit's checks are told once in a run that builds, however many
// images are made from the file, and not by one that has nothing to do.
func TestDockerfileWarnings(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: [one, two]\ndockerfile: Dockerfile\nplatform: [linux/amd64, linux/arm64]\n---\nimage: other\ndockerfile: Dockerfile\nargs: {A: b}\n",
		"Dockerfile": "# syntax=docker/dockerfile:1.999\nFROM scratch\nARG A\nLABEL a=$A\nCMD x\nCOPY werf.yaml /\nENV A b\n",
	})
	cli := testenv.Slipway(t)
	build := func() string {
		return cli.Run(repo.Dir, nil, "build", "--repo", registry.Host+"/app").Must(t).Stderr
	}
	said := build()
	for _, want := range []string{
		"Dockerfile:1: docker/dockerfile:1.999 is asked for; ",
		"Dockerfile:5: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (JSONArgsRecommended, https://docs.docker.com/go/dockerfile/rule/json-args-recommended/)\n",
		"Dockerfile:7: ",
	} {
		if strings.Count(said, want) != 1 {
			t.Errorf("%q is not told once:\n%s", want, said)
		}
	}
	if said := build(); strings.Contains(said, "Dockerfile:") {
		t.Errorf("a run with nothing to do says\n%s", said)
	}
}

// tarOf is a tar file.
func tarOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// agentkeys is the program of testdata that asks an ssh agent for its keys.
func agentkeys(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agentkeys")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/agentkeys")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// sshAgent is the socket of an ssh agent with n keys.
func sshAgent(t *testing.T, n int) (socket string) {
	t.Helper()
	keys := agent.NewKeyring()
	for range n {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err == nil {
			err = keys.Add(agent.AddedKey{PrivateKey: private})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(keys, conn) //nolint:errcheck // it ends with the connection
		}
	}()
	return socket
}

// sshKey is a file with a private key.
func sshKey(t *testing.T) (file string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
