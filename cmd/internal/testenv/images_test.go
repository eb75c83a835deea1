package testenv

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestBusyboxImageRuns(t *testing.T) {
	img := BusyboxImage(t)
	again, err := BusyboxImage(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	r := Registry(t)
	if digest := r.PushImage("library/busybox:latest", img); digest != again {
		t.Errorf("made twice it is %s and %s", digest, again)
	}
	ref := r.Host + "/library/busybox:latest"
	got := RunImage(t, ref, "sh", "-c", "id -u; pwd; echo $PATH; ls /usr/bin/env; touch /tmp/x; cat; exit 7")
	want := "0\n/\n" + strings.TrimPrefix(imagePath, "PATH=") + "\n/usr/bin/env\n"
	if got.Stdout != want || got.Code != 7 {
		t.Errorf("exit code %d, output\n%s\nwant 7 and\n%s\n%s", got.Code, got.Stdout, want, got.Stderr)
	}
}

func TestRunImageHeedsTheConfig(t *testing.T) {
	img := TreeImage(t, BusyboxImage(t), map[string]string{"app/file": "in the app"}, func(c *v1.Config) {
		c.Entrypoint = []string{"sh", "-c"}
		c.Cmd = []string{"cat file; id -u; id -g; echo $GREETING"}
		c.Env = append(c.Env, "GREETING=hello")
		c.WorkingDir = "/app"
		c.User = "node"
	})
	r := Registry(t)
	r.PushImage("app:1", img)
	if got := RunImage(t, r.Host+"/app:1").Must(t).Stdout; got != "in the app1000\n1000\nhello\n" {
		t.Errorf("output %q", got)
	}
	if got := RunImage(t, r.Host+"/app:1", "echo other").Must(t).Stdout; got != "other\n" {
		t.Errorf("with a command of the test: output %q", got)
	}
	// The same through the other transports of skopeo: no registry is needed.
	dir := t.TempDir()
	command(t, dir, nil, Tool(t, "skopeo"), "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "docker://"+r.Host+"/app:1", "oci:layout:one")
	if got := RunImage(t, "oci:"+dir+"/layout:one", "echo layout").Must(t).Stdout; got != "layout\n" {
		t.Errorf("from a layout: output %q", got)
	}
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	base(t, dir, writeScript(t, "#!/bin/sh\n"), ".")
	for _, c := range []struct {
		user     string
		uid, gid int
		fails    bool
	}{
		{"", 0, 0, false},
		{"node", 1000, 1000, false},
		{"1000", 1000, 0, false},
		{"12:34", 12, 34, false},
		{"node:nogroup", 1000, 65534, false},
		{"stranger", 0, 0, true},
		{"node:strangers", 0, 0, true},
	} {
		uid, gid, err := lookUp(c.user, dir)
		if (err != nil) != c.fails || uid != c.uid || gid != c.gid {
			t.Errorf("%q is %d:%d, %v; want %d:%d, error: %t", c.user, uid, gid, err, c.uid, c.gid, c.fails)
		}
	}
}

// writeScript writes an executable that stands for a busybox.
func writeScript(t *testing.T, content string) string {
	t.Helper()
	path := t.TempDir() + "/busybox"
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnpackAppliesLayers(t *testing.T) {
	type entry struct {
		name, content string
		kind          byte
	}
	layers := [][]entry{
		{
			{"bin", "usr/bin", tar.TypeSymlink}, {"usr/bin/tool", "1", tar.TypeReg},
			{"gone/file", "1", tar.TypeReg}, {"dir/hidden", "1", tar.TypeReg}, {"dir/kept", "1", tar.TypeReg},
			{"fresh/old", "1", tar.TypeReg}, {"turns", "file", tar.TypeReg},
		},
		{
			{".wh.gone", "", tar.TypeReg}, {"dir/.wh.hidden", "", tar.TypeReg},
			{"fresh/", "", tar.TypeDir}, {"fresh/.wh..wh..opq", "", tar.TypeReg}, {"fresh/new", "2", tar.TypeReg},
			{"turns/", "", tar.TypeDir}, {"turns/inside", "2", tar.TypeReg},
			{"bin/tool", "2", tar.TypeReg}, {"hard", "/dir/kept", tar.TypeLink},
		},
	}
	img := TreeImage(t, nil, nil, nil)
	for _, entries := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o755, Uid: os.Getuid(), Gid: os.Getgid()}
			if e.kind == tar.TypeReg {
				h.Size = int64(len(e.content))
			} else {
				h.Linkname = e.content
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if e.kind == tar.TypeReg {
				if _, err := io.WriteString(w, e.content); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b.Bytes())), nil
		})
		if err == nil {
			img, err = mutate.AppendLayers(img, layer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := unpackImage(img, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/bin/tool": "2", "dir/kept": "1", "hard": "1", "fresh/new": "2", "turns/inside": "2",
		"gone": "", "dir/hidden": "", "fresh/old": "", "fresh/.wh..wh..opq": "", ".wh.gone": "",
	} {
		got, err := os.ReadFile(dir + "/" + name)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s has %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestUnpackStaysInside(t *testing.T) {
	outside := t.TempDir()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	link := &tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: outside, Uid: os.Getuid(), Gid: os.Getgid()}
	if err := unpackEntry(root, link, nil); err != nil {
		t.Fatal(err)
	}
	file := &tar.Header{Name: "out/file", Typeflag: tar.TypeReg, Mode: 0o644}
	if err := unpackEntry(root, file, strings.NewReader("")); err == nil {
		t.Error("a file was written through a link that leads out")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside there is %v, %v", left, err)
	}
}

func TestNodeImageWorks(t *testing.T) {
	node := NodeImage(t)
	again, err := NodeImage(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	r := Registry(t)
	if digest := r.PushImage("library/node:latest", node); digest != again {
		t.Errorf("taken twice it is %s and %s", digest, again)
	}
	ref := r.Host + "/library/node:latest"
	version := RunImage(t, ref, "node", "-p", "process.version.slice(1) == process.env.NODE_VERSION && new Intl.NumberFormat('de').format(1234.5)").Must(t)
	if version.Stdout != "1.234,5\n" {
		t.Errorf("node says %q", version.Stdout)
	}

	r.PushImage("app:1", TreeImage(t, node, map[string]string{
		"app/package.json":       `{"name":"app","version":"1.0.0","dependencies":{"greet":"file:./greet"},"scripts":{"postinstall":"echo ran > postinstall"}}`,
		"app/package-lock.json":  `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"greet":"file:./greet"}},"greet":{"version":"1.0.0"},"node_modules/greet":{"resolved":"greet","link":true}}}`,
		"app/greet/package.json": `{"name":"greet","version":"1.0.0","main":"index.js"}`,
		"app/greet/index.js":     `module.exports = () => "greetings"`,
		"app/server.js":          `console.log(require("greet")(), require("fs").readFileSync("postinstall", "utf8").trim())`,
	}, func(c *v1.Config) { c.WorkingDir = "/app" }))
	got := RunImage(t, r.Host+"/app:1", "sh", "-c", "npm ci && npx --version && node server.js").Must(t)
	if !strings.HasSuffix(got.Stdout, "\n10.8.2\ngreetings ran\n") {
		t.Errorf("output\n%s\n%s", got.Stdout, got.Stderr)
	}
}
