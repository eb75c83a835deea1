package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// builderFor is a builder that reaches the registry, and finds there what Docker
// Hub has.
func builderFor(registry *testenv.RegistryServer) testenv.BuildkitdOptions {
	return testenv.BuildkitdOptions{
		Config:  "[registry.\"docker.io\"]\nmirrors = [\"" + registry.Host + "\"]\n",
		Reaches: []string{registry.Host},
	}
}

// builtOn is which images of a log were built by which of the builders.
func builtOn(r testenv.Result, builders ...string) map[string][]string {
	built := map[string][]string{}
	for line := range strings.Lines(r.Stderr) {
		for _, builder := range builders {
			if node, ok := strings.CutSuffix(strings.TrimSpace(line), "] building on "+builder); ok {
				built[builder] = append(built[builder], strings.TrimPrefix(node, "[build "))
			}
		}
	}
	return built
}

// What a build takes from the machine that wants it goes through the connection:
// the context, secrets, an ssh agent, a layout that is read and written.
func TestBuilder(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	builder := testenv.Buildkitd(t, builderFor(registry))
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": `project: app
configVersion: 1
---
image: lower
dockerfile: lower.Dockerfile
secrets:
- id: word
  value: swordfish
---
image: upper
dockerfile: upper.Dockerfile
dependencies:
- image: lower
  imports: [{type: ImageName, targetBuildArg: LOWER}]
`,
		"lower.Dockerfile":      "FROM busybox\nCOPY file /\nRUN --mount=type=ssh,required=true test -S \"$SSH_AUTH_SOCK\"\nRUN --mount=type=secret,id=word md5sum /run/secrets/word >/sum\n",
		"upper.Dockerfile":      "ARG LOWER\nFROM $LOWER\nRUN cat /file /sum >/both\nCMD cat /both\n",
		"file":                  "from the commit\n",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig:\n  secrets:\n    allowValueIds: [word]\n",
	})
	keys := t.TempDir()
	authority(t, keys)
	key := filepath.Join(keys, "ca.key")
	cli, layout := testenv.Slipway(t), "oci:"+filepath.Join(t.TempDir(), "layout")
	want := "from the commit\n15b29ffdce66e10527a65bc6d71ad94d  /run/secrets/word\n"
	for _, kept := range []string{registry.Host + "/app", layout} {
		args := []string{"export", "upper", "--repo", kept, "--tag", registry.Host + "/published:v1", "--ssh-key", key, "--container-registry-mirror", "http://" + registry.Host}
		cli.Run(repo.Dir, []string{"BUILDKIT_HOST=" + builder.Address}, args...).Must(t)
		if out := testenv.RunImage(t, registry.Host+"/published:v1").Must(t); out.Stdout != want {
			t.Errorf("the image says %q, want %q", out.Stdout, want)
		}
		// Nothing to do needs no builder, so one that cannot be there does no harm.
		if r := cli.Run(repo.Dir, nil, append(args, "--builder", "unix:///nowhere")...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
			t.Errorf("the second time:\n%s", r.Stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(cli.Home, "state", "slipway", "buildkit")); err == nil {
		t.Error("BuildKit was started on this machine, too")
	}

	// The same build here and there is the same image.
	here := testenv.Registry(t)
	here.PushImage("library/busybox:latest", testenv.BusyboxImage(t))
	cli.Run(repo.Dir, nil, "build", "--repo", here.Host+"/app", "--ssh-key", key, "--container-registry-mirror", "http://"+here.Host).Must(t)
	for _, image := range planned(t, cli, repo).Images {
		if a, b := here.Digest("app:"+image.Key), registry.Digest("app:"+image.Key); a == "" || a != b {
			t.Errorf("%s is %s here and %s there", image.Name, a, b)
		}
	}
}

// A build that fails is no dead builder: the error is that of the build, and
// nobody else tries it.
func TestBuilderFails(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	one, other := testenv.Buildkitd(t, builderFor(registry)), testenv.Buildkitd(t, builderFor(registry))
	repo := testenv.GitRepo(t, busyApp("echo the reason; exit 7"))
	cli := testenv.Slipway(t)
	args := []string{"build", "app", "--repo", registry.Host + "/app", "--container-registry-mirror", "http://" + registry.Host, "--builder", one.Address, "--builder", other.Address}
	r := cli.Run(repo.Dir, nil, args...)
	built := builtOn(r, one.Address, other.Address)
	if r.Code != 1 || !strings.Contains(r.Stderr, "Dockerfile:3: ") || !strings.Contains(r.Stderr, "exit code: 7") || strings.Contains(r.Stderr, "left out") || len(built[one.Address])+len(built[other.Address]) != 1 {
		t.Errorf("exit code %d, built %v\n%s", r.Code, built, r.Stderr)
	}
	// What a builder's configuration forbids is said with what to change.
	r = cli.Run(repo.Dir, nil, append(args, "--backend-network", "host")...)
	if want := "start its buildkitd with --allow-insecure-entitlement network.host"; r.Code != 1 || !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr, "left out") {
		t.Errorf("host network: exit code %d\n%s", r.Code, r.Stderr)
	}
	// All dead: what became of each.
	one.Kill()
	other.Kill()
	r = cli.Run(repo.Dir, nil, args...)
	if r.Code != 1 || !strings.Contains(r.Stderr, one.Address+": dial unix") || !strings.Contains(r.Stderr, other.Address+": dial unix") || strings.Count(r.Stderr, "no builder is left") != 1 {
		t.Errorf("all dead: exit code %d\n%s", r.Code, r.Stderr)
	}
}

// Two builders in networks of their own. When both are at their limits, one is
// killed as kill -9 does: what it was doing is done by the other, when that has
// room, and the run ends right.
func TestBuilderDies(t *testing.T) {
	t.Parallel()
	const images, limit = 6, 3
	var mu sync.Mutex
	begun, all := map[string]bool{}, make(chan struct{})
	killed := make(chan struct{})
	registry := busyRegistry(t, testenv.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path != "/killed" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if begun[req.URL.RawQuery] = true; len(begun) == images {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		select {
		case <-killed:
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		return true
	}))
	config, files := "project: app\nconfigVersion: 1\n", map[string]string{}
	for i := range images {
		config += fmt.Sprintf("---\nimage: app%d\ndockerfile: %d.Dockerfile\n", i, i)
		files[fmt.Sprint(i, ".Dockerfile")] = fmt.Sprintf("FROM busybox\nRUN until wget -q -O /answer http://%s/killed?%d; do sleep 0.1; done; echo image %[2]d >/made\nCMD cat /made\n", registry.Host, i)
	}
	files["werf.yaml"] = config
	repo := testenv.GitRepo(t, files)
	dying, other := testenv.Buildkitd(t, builderFor(registry)), testenv.Buildkitd(t, builderFor(registry))
	go func() {
		<-all
		dying.Kill()
		close(killed)
	}()
	cli := testenv.Slipway(t)
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/%image%:v1", "--container-registry-mirror", "http://" + registry.Host, "--parallel-tasks-limit", "0"}
	for _, b := range []*testenv.BuildkitdServer{dying, other} {
		args = append(args, "--builder", fmt.Sprintf("%s?limit=%d", b.Address, limit))
	}
	r := cli.Run(repo.Dir, nil, args...).Must(t)
	built := builtOn(r, dying.Address, other.Address)
	if n, m := len(built[dying.Address]), len(built[other.Address]); n != limit || m != images {
		t.Errorf("%d builds were given to the one that died and %d to the other, want %d and %d\n%s", n, m, limit, images, r.Stderr)
	}
	for _, image := range built[dying.Address] {
		if !slices.Contains(built[other.Address], image) {
			t.Errorf("%s did not move on", image)
		}
	}
	if n := strings.Count(r.Stderr, dying.Address+" is left out from here on: connection lost"); n != 1 {
		t.Errorf("the end of a builder is told %d times\n%s", n, r.Stderr)
	}
	for i := range images {
		if out := testenv.RunImage(t, fmt.Sprintf("%s/app%d:v1", registry.Host, i)).Must(t); out.Stdout != fmt.Sprintf("image %d\n", i) {
			t.Errorf("image %d says %q", i, out.Stdout)
		}
	}
	if r := cli.Run(repo.Dir, nil, args...).Must(t); !strings.Contains(r.Stderr, "Nothing to do") {
		t.Errorf("the second time:\n%s", r.Stderr)
	}
}

// Builders elsewhere store and use caches as this machine's own does.
func TestLayerCacheOfBuilders(t *testing.T) {
	registry, steps := busyRegistry(t), countSteps(t)
	repo := staged(t, steps)
	build := func() {
		t.Helper()
		o := builderFor(registry)
		o.Reaches = append(o.Reaches, steps.host)
		builder := testenv.Buildkitd(t, o) // without any state
		testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build", "--builder", builder.Address)...).Must(t)
	}
	build()
	steps.expect(t, "first", "base", "build", "tools")
	repo.Write("file", "two")
	repo.Commit("change")
	build()
	steps.expect(t, "another builder", "build")
	repo.Write("file", "three")
	repo.Commit("change again")
	testenv.Slipway(t).Run(repo.Dir, nil, cacheArgs(registry, "build")...).Must(t)
	steps.expect(t, "this machine", "build")
}

// The commands that reach into containers and pods are stood in for by scripts,
// which run what they are told to in the daemon's place. It shows which commands are
// run, with the real client's end of BuildKit's protocol on both sides; not that
// Docker and Kubernetes do as they are told.
func TestBuilderInContainer(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	builder := testenv.Buildkitd(t, builderFor(registry))
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox\nRUN echo made >/made\n",
	})
	bin := t.TempDir()
	inside := func(command, want string, leave int) {
		script(t, bin, command, fmt.Sprintf(`case "$*" in
*" gone "*) echo "no such thing as gone" >&2; exit 1 ;;
%q) ;;
*) echo "%s was given $*" >&2; exit 2 ;;
esac
shift %d
PATH=%s BUILDKIT_HOST=%s exec "$@"`, want, command, leave, filepath.Dir(testenv.Tool(t, "buildctl")), builder.Address))
	}
	inside("docker", "--context=far exec -i builder_0 buildctl dial-stdio", 4)
	inside("kubectl", "--context= --namespace=ci exec --container= -i builder-0 -- buildctl dial-stdio", 7)
	env := []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	for name, address := range map[string]string{"docker": "docker-container://builder_0?context=far", "kubectl": "kube-pod://builder-0?namespace=ci"} {
		cli := testenv.Slipway(t)
		args := []string{"build", "--repo", registry.Host + "/" + name, "--container-registry-mirror", "http://" + registry.Host}
		gone := cli.Run(repo.Dir, env, append(args, "--builder", strings.NewReplacer("builder_0", "gone", "builder-0", "gone").Replace(address))...)
		if want := "has exited with exit status 1: no such thing as gone"; gone.Code != 1 || !strings.Contains(gone.Stderr, want) {
			t.Errorf("exit code %d\n%s", gone.Code, gone.Stderr)
		}
		cli.Run(repo.Dir, env, append(args, "--builder", address)...).Must(t)
	}
}

// TLS in both directions, with certificates that only these two know.
func TestBuilderTLS(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	dir := t.TempDir()
	ca := authority(t, dir)
	ca.issue(t, "server", "builder.example.org")
	ca.issue(t, "client", "")
	file := func(name string) string { return filepath.Join(dir, name) }
	o := builderFor(registry)
	o.Listens = true
	o.Args = []string{"--addr", "fd://", "--tlscacert", file("ca.pem"), "--tlscert", file("server.pem"), "--tlskey", file("server.key")}
	builder := testenv.Buildkitd(t, o)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM busybox\nRUN echo made >/made\n",
	})
	cli := testenv.Slipway(t)
	build := func(options string) testenv.Result {
		return cli.Run(repo.Dir, []string{"WERF_BUILDER_1=tcp://" + builder.Host + options}, "build", "--repo", registry.Host+"/app", "--container-registry-mirror", "http://"+registry.Host)
	}
	pair := "&cert=" + file("client.pem") + "&key=" + file("client.key")
	for _, c := range []struct {
		what, options, want string
		code                int
	}{
		{"a server by another name", "?ca=" + file("ca.pem") + pair, "TLS: tls: failed to verify certificate", 1},
		{"an unknown authority", "?servername=builder.example.org" + pair, "certificate signed by unknown authority", 1},
		{"no certificate of the client", "?servername=builder.example.org&ca=" + file("ca.pem"), "certificate required", 1},
		{"no TLS", "", "the builder closed the connection", 1},
		{"no file", "?ca=" + file("other.pem"), "no such file", 2},
		{"no certificate in it", "?ca=" + file("client.key"), "has no certificate in PEM", 2},
		{"a certificate without its key", "?cert=" + file("client.pem"), "cert and key are needed together", 2},
		{"an option of another tool", "?cacert=" + file("ca.pem"), "it has ca, cert, key, servername, limit", 2},
		{"all as it should be", "?servername=builder.example.org&ca=" + file("ca.pem") + pair, "", 0},
	} {
		if r := build(c.options); r.Code != c.code || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", c.what, r.Code, c.code, c.want, r.Stderr)
		}
	}
}

// certificates are an authority, which writes NAME.pem and NAME.key.
type certificates struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

func authority(t *testing.T, dir string) *certificates {
	c := &certificates{dir: dir}
	c.issue(t, "ca", "")
	return c
}

// issue makes a certificate for a server by its name, or for a client. The first
// one is the authority's own.
func (c *certificates) issue(t *testing.T, name, server string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.last++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(c.last), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: c.cert == nil, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if server != "" {
		template.DNSNames = []string{server}
	}
	if c.cert == nil {
		c.cert, c.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []struct {
		ext, kind string
		data      []byte
	}{{".pem", "CERTIFICATE", der}, {".key", "PRIVATE KEY", private}} {
		if err := os.WriteFile(filepath.Join(c.dir, name+block.ext), pem.EncodeToMemory(&pem.Block{Type: block.kind, Bytes: block.data}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
