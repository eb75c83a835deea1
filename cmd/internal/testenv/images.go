package testenv

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const imagePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// BusyboxImage makes a small image, about a megabyte, with a shell and the
// usual tools: the machine's static busybox and a link for each of its applets.
func BusyboxImage(t testing.TB) v1.Image {
	t.Helper()
	root := t.TempDir()
	busybox := Tool(t, "busybox")
	if !isStatic(t, busybox) {
		t.Fatalf("%s is not statically linked, so it cannot run alone in an image: %s", busybox, hints["busybox"])
	}
	content, err := os.ReadFile(busybox)
	if err == nil {
		err = writeTree(root, map[string]string{"bin/busybox": string(content)}, 0o755)
	}
	if err != nil {
		t.Fatalf("making the busybox image: %v", err)
	}
	base(t, root, busybox, "bin")
	if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
		t.Fatalf("making the busybox image: %v", err)
	}
	// "#!/usr/bin/env" is the first line of many scripts.
	if err := os.Symlink("../../bin/busybox", filepath.Join(root, "usr/bin/env")); err != nil {
		t.Fatalf("making the busybox image: %v", err)
	}
	return image(t, v1.Config{Env: []string{imagePath}, Cmd: []string{"sh"}}, root, nil)
}

// TreeImage makes an image from a config and files, not executable, which maps
// paths to contents, over a base; the base may be nil. The config's empty
// fields are as in the base.
func TreeImage(t testing.TB, base v1.Image, files map[string]string, change func(*v1.Config)) v1.Image {
	t.Helper()
	root := t.TempDir()
	if err := writeTree(root, files, 0o644); err != nil {
		t.Fatalf("making an image: %v", err)
	}
	if base == nil {
		base = image(t, v1.Config{}, root, nil)
	} else {
		base = appendLayer(t, base, root, nil)
	}
	if change == nil {
		return base
	}
	file, err := base.ConfigFile()
	if err != nil {
		t.Fatalf("reading an image's config: %v", err)
	}
	config := *file.Config.DeepCopy()
	change(&config)
	img, err := mutate.Config(base, config)
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	return img
}

// base gives root what programs expect of a system: links to busybox for its
// applets in bin, where root has nothing else of that name; users; /tmp.
func base(t testing.TB, root, busybox, bin string) {
	t.Helper()
	for _, applet := range strings.Fields(command(t, "", nil, busybox, "--list")) {
		err := os.Symlink("busybox", filepath.Join(root, bin, applet))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatalf("making an image: %v", err)
		}
	}
	err := writeTree(root, map[string]string{
		"etc/passwd":        "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"etc/group":         "root:x:0:\nnode:x:1000:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	}, 0o644)
	for _, dir := range []string{"root", "home", "tmp", "proc", "sys", "dev", "var/tmp"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		err = errors.Join(err, os.Chmod(filepath.Join(root, dir), 0o777|fs.ModeSticky))
	}
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
}

func writeTree(root string, files map[string]string, mode fs.FileMode) error {
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			return err
		}
	}
	return nil
}

// isStatic says whether an executable runs without an interpreter and libraries.
func isStatic(t testing.TB, path string) bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// image makes an OCI image with one layer, the content of root but what skip
// holds for.
func image(t testing.TB, config v1.Config, root string, skip func(name string) bool) v1.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", Created: v1.Time{Time: epoch}, Config: config,
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	return appendLayer(t, img, root, skip)
}

func appendLayer(t testing.TB, img v1.Image, root string, skip func(name string) bool) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	err := writeLayer(&layer, root, skip)
	if err != nil {
		t.Fatalf("making a layer: %v", err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err == nil {
		img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{
			Created: v1.Time{Time: epoch}, CreatedBy: "testenv",
		}})
	}
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	return img
}

// writeLayer writes root as a compressed layer whose bytes follow from names,
// modes and contents alone: everything is root's, and as old as epoch.
func writeLayer(w io.Writer, root string, skip func(name string) bool) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(z)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if skip != nil && skip(name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		return writeEntry(tw, path, name, d)
	})
	return errors.Join(err, tw.Close(), z.Close())
}

func writeEntry(tw *tar.Writer, path, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if d.Type() == fs.ModeSymlink {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	h.Name, h.ModTime, h.Format = name, epoch, tar.FormatPAX
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	if d.IsDir() {
		h.Name += "/"
	}
	if err := tw.WriteHeader(h); err != nil || !d.Type().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}
