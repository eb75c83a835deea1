package testenv

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// The recipe of the node image. What is here, and nodeRecipe for changes to the
// code below, names the image in the cache.
const (
	nodeRecipe   = "1"
	nodePackages = "nodejs busybox-static"
	// The npm of Debian is 300 packages; the one of npm's makers brings what it
	// needs with it. This version is the one in the node:18 image.
	npmPackage = "npm@10.8.2"
	// Packages come from the machine's sources, so from its mirror and through
	// its proxy, but all state is apart: the machine is not changed, and root is
	// not needed. An empty dpkg status makes apt list the whole closure.
	aptConf = `Dir::State "%[1]s";
Dir::State::Lists "%[1]s/lists";
Dir::State::Status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Etc::Preferences "%[1]s/preferences";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
Debug::NoLocking "true";
`
	// The machine may have node from elsewhere, with other dependencies.
	aptPreferences = "Package: *\nPin: release o=Debian\nPin-Priority: 1001\n"
)

// nodeSkip is what nothing in the image needs: documentation, translations, the
// tables of character sets, TypeScript's declarations, and ICU's tools.
var nodeSkip = regexp.MustCompile(`^usr/share/(doc|doc-base|man|locale|lintian|bug|gcc)$` +
	`|^usr/share/nodejs/@types$` +
	`|^usr/lib/node_modules/npm/(docs|man)$` +
	`|^usr/lib/[^/]+/(gconv|libicu(test|tu|io)\.so.*)$`)

// NodeImage gives an image that does what Docker Hub's node does for a build:
// node, npm and a shell, made from Debian's packages and npm's own. It is made
// once and kept in the user's cache directory: that takes the network of apt
// and npm, and some seconds.
func NodeImage(t testing.TB) v1.Image {
	t.Helper()
	key := sha256.Sum256([]byte(strings.Join([]string{
		nodeRecipe, nodePackages, npmPackage, aptConf, aptPreferences, nodeSkip.String(), runtime.GOARCH,
	}, "\x00")))
	dir := cached(t, fmt.Sprintf("node-%x", key[:6]), func(dir string) { makeNode(t, dir) })
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatalf("reading the kept node image (remove %s to have it made again): %v", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("reading the kept node image (remove %s to have it made again): %v", dir, err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatalf("reading the kept node image (remove %s to have it made again): %v", dir, err)
	}
	return img
}

// makeNode makes the image as an OCI layout in dir.
func makeNode(t testing.TB, dir string) {
	t.Helper()
	work := t.TempDir()
	root := filepath.Join(work, "root")
	version := unpackDebian(t, work, root)
	unpackNPM(t, work, root)
	// Not the machine's busybox: what is in the image decides on its applets.
	base(t, root, filepath.Join(root, "usr/bin/busybox"), "usr/bin")
	img := image(t, v1.Config{
		Env: []string{imagePath, "NODE_VERSION=" + version}, Cmd: []string{"node"},
	}, root, nodeSkip.MatchString)

	l, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = l.AppendImage(img)
	}
	if err != nil {
		t.Fatalf("keeping the node image: %v", err)
	}
}

// unpackDebian unpacks node's Debian packages and all that they depend on into
// root, and returns node's version.
func unpackDebian(t testing.TB, work, root string) (version string) {
	t.Helper()
	apt, dpkg := Tool(t, "apt-get"), Tool(t, "dpkg-deb")
	conf := filepath.Join(work, "apt.conf")
	err := writeTree(work, map[string]string{
		"apt.conf": fmt.Sprintf(aptConf, work), "preferences": aptPreferences, "status": "",
	}, 0o644)
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(work, d), 0o755))
	}
	if err != nil {
		t.Fatalf("preparing apt: %v", err)
	}
	command(t, work, nil, apt, "-c", conf, "-q", "update")
	command(t, work, nil, apt, append([]string{"-c", conf, "-q", "-y", "--download-only", "install"}, strings.Fields(nodePackages)...)...)

	debs, err := filepath.Glob(filepath.Join(work, "cache/archives/*.deb"))
	if err != nil || len(debs) == 0 {
		t.Fatalf("apt downloaded nothing: %v", err)
	}
	for _, deb := range debs {
		command(t, work, nil, dpkg, "-x", deb, root)
		if strings.HasPrefix(filepath.Base(deb), "nodejs_") {
			version = command(t, work, nil, dpkg, "-f", deb, "Version")
		}
	}
	mergeUsr(t, root)
	return regexp.MustCompile(`^[0-9.]+`).FindString(version)
}

// mergeUsr makes /bin, /lib… links into /usr, as they are on Debian; its base
// system does that, and packages come in both forms.
func mergeUsr(t testing.TB, root string) {
	t.Helper()
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		top, usr := filepath.Join(root, d), filepath.Join(root, "usr", d)
		err := os.MkdirAll(usr, 0o755)
		if _, statErr := os.Lstat(top); err == nil && statErr == nil {
			command(t, root, nil, "cp", "-a", top+"/.", usr)
			err = os.RemoveAll(top)
		}
		if err == nil {
			err = os.Symlink("usr/"+d, top)
		}
		if err != nil {
			t.Fatalf("merging /%s into /usr: %v", d, err)
		}
	}
}

// unpackNPM puts npm and npx where Debian keeps node's modules.
func unpackNPM(t testing.TB, work, root string) {
	t.Helper()
	tgz := strings.TrimSpace(command(t, work, nil, Tool(t, "npm"), "pack", "--silent", npmPackage))
	dir := filepath.Join(root, "usr/lib/node_modules/npm")
	if err := unpackPackage(filepath.Join(work, tgz), dir); err != nil {
		t.Fatalf("unpacking %s: %v", tgz, err)
	}
	for _, name := range []string{"npm", "npx"} {
		cli := name + "-cli.js"
		err := os.Chmod(filepath.Join(dir, "bin", cli), 0o755)
		if err == nil {
			err = os.Symlink("../lib/node_modules/npm/bin/"+cli, filepath.Join(root, "usr/bin", name))
		}
		if err != nil {
			t.Fatalf("installing npm: %v", err)
		}
	}
}

// unpackPackage unpacks an npm package: plain files under a top directory,
// "package", that is not part of their names.
func unpackPackage(tgz, dir string) error {
	f, err := os.Open(tgz)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(h.Name, "/")
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, name, 0o644|fs.FileMode(h.Mode)&0o111, tr); err != nil {
			return err
		}
	}
}

// unpackFile writes a file and the directories over it.
func unpackFile(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
