package testenv

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// RunImage pulls an image with skopeo and runs it with runc, as anybody would
// who has never heard of Slipway: the layers become a root filesystem, and the
// image's config says what runs in it. args, when there are any, take the place
// of the image's Cmd. For a user without privileges all files belong to the
// container's root. The container has no network but its own
// loopback, so whatever runs in it runs offline.
//
// ref is a reference on a registry, which is taken to be insecure, or anything
// that skopeo knows with its transport, such as "oci:DIR:TAG".
func RunImage(t testing.TB, ref string, args ...string) Result {
	t.Helper()
	runc, skopeo := Tool(t, "runc"), Tool(t, "skopeo")
	bundle := t.TempDir()
	img := pull(t, skopeo, ref, filepath.Join(bundle, "image"))
	rootfs := filepath.Join(bundle, "rootfs")
	if err := unpackImage(img, rootfs); err != nil {
		t.Fatalf("unpacking %s: %v", ref, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatalf("reading the config of %s: %v", ref, err)
	}
	spec, err := runtimeSpec(file.Config, rootfs, args)
	if err != nil {
		t.Fatalf("running %s: %v", ref, err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o644); err != nil {
		t.Fatalf("running %s: %v", ref, err)
	}
	// The id names control groups of the machine; a test's directory is its own.
	id := "slipway-test-" + strconv.Itoa(os.Getpid()) + "-" + filepath.Base(filepath.Dir(bundle)) + "-" + filepath.Base(bundle)
	id = strings.Map(func(r rune) rune {
		if r < 128 && (r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, id)
	state := filepath.Join(bundle, "state")
	cmd := exec.CommandContext(t.Context(), runc, "--root", state, "run", "--bundle", bundle, id)
	t.Cleanup(func() { // for a test that ended while its container ran
		_ = exec.Command(runc, "--root", state, "delete", "--force", id).Run()
	})
	r, err := run(cmd)
	if err != nil {
		t.Fatalf("running %s: %v", ref, err)
	}
	return r
}

// pull copies ref with skopeo into an OCI layout in dir.
func pull(t testing.TB, skopeo, ref, dir string) v1.Image {
	t.Helper()
	src := ref
	if transport, _, ok := strings.Cut(ref, ":"); !ok || !slices.Contains([]string{"oci", "oci-archive", "docker", "dir"}, transport) {
		src = "docker://" + ref
	}
	command(t, "", nil, skopeo, "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", src, "oci:"+dir+":image")
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatalf("reading what skopeo pulled: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("reading what skopeo pulled: %v", err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatalf("reading what skopeo pulled: %v", err)
	}
	return img
}

// unpackImage makes the root filesystem of an image, from the lowest layer up.
// All names are resolved under dir: no link in a layer leads out of it.
func unpackImage(img v1.Image, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		err = unpackLayer(root, r)
		if err = errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

func unpackLayer(root *os.Root, r io.Reader) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(root, h, tr); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// unpackEntry applies one entry of a layer as the OCI image specification says
// ("Applying Changesets"), without devices, extended attributes and times.
func unpackEntry(root *os.Root, h *tar.Header, r io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if name == "" {
		return nil
	}
	dir, base := path.Split(name)
	if base == ".wh..wh..opq" {
		return removeChildren(root, path.Clean(dir))
	}
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
		return root.RemoveAll(dir + hidden)
	}
	// An entry takes the place of what is there, unless both are directories.
	if old, err := root.Lstat(name); err == nil && !(old.IsDir() && h.Typeflag == tar.TypeDir) {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	mode := h.FileInfo().Mode()
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		err = unpackFile(root, name, mode, r)
	case tar.TypeSymlink:
		err = errors.Join(root.MkdirAll(path.Dir(name), 0o755), root.Symlink(h.Linkname, name))
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), name)
	default:
		return nil
	}
	if err == nil {
		if err = root.Lchown(name, h.Uid, h.Gid); os.Geteuid() != 0 {
			err = nil
		}
	}
	if err == nil && h.Typeflag != tar.TypeSymlink {
		err = root.Chmod(name, mode.Perm()|mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
	}
	return err
}

func removeChildren(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, root.RemoveAll(path.Join(dir, e.Name())))
	}
	return err
}

// runtimeSpec translates an image's config into a runtime's (OCI image
// specification, "Conversion to OCI Runtime Configuration"): no more than is
// needed to run it, and no limits, so no control groups need to be writable.
func runtimeSpec(c v1.Config, rootfs string, args []string) ([]byte, error) {
	if len(args) == 0 {
		args = c.Cmd
	}
	args = slices.Concat(c.Entrypoint, args)
	if len(args) == 0 {
		return nil, errors.New("the image says not what to run: it has no Entrypoint and no Cmd")
	}
	uid, gid, err := lookUp(c.User, rootfs)
	if err != nil {
		return nil, err
	}
	cwd := c.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	env := c.Env
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		env = append(slices.Clone(env), imagePath)
	}
	var namespaces []map[string]string
	for _, n := range []string{"pid", "mount", "ipc", "uts", "network"} {
		namespaces = append(namespaces, map[string]string{"type": n})
	}
	linux := map[string]any{"namespaces": namespaces}
	if os.Geteuid() != 0 {
		uids, gids, err := userNamespace()
		if err != nil {
			return nil, err
		}
		linux = map[string]any{"namespaces": append(namespaces, map[string]string{"type": "user"}), "uidMappings": uids, "gidMappings": gids}
	}
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	err = e.Encode(map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": uid, "gid": gid},
			"args": args, "env": env, "cwd": cwd,
			"capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"root":     map[string]any{"path": rootfs},
		"hostname": "test",
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
			{"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": []string{"nosuid", "nodev", "mode=1777"}},
		},
		"linux": linux,
	})
	return b.Bytes(), err
}

// userNamespace maps the root of a container to the user of this process, and the
// other ids to those that the machine lends to that user (subuid(5)).
func userNamespace() (uids, gids []map[string]int, err error) {
	me, err := user.Current()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range []struct {
		file string
		own  int
		maps *[]map[string]int
	}{{"/etc/subuid", os.Getuid(), &uids}, {"/etc/subgid", os.Getgid(), &gids}} {
		first, err := lookUpID(m.file, me.Username)
		if err != nil {
			return nil, nil, err
		}
		*m.maps = []map[string]int{{"containerID": 0, "hostID": m.own, "size": 1}, {"containerID": 1, "hostID": first, "size": 65535}}
	}
	return uids, gids, nil
}

func lookUpID(file, name string) (int, error) {
	entry, err := find(file, name)
	if err != nil {
		return 0, err
	}
	return number("", entry, 1, nil)
}

// lookUp gives the ids of an image's User, "user[:group]" by name or number. A
// user without a group has the one of /etc/passwd, or 0.
func lookUp(owner, rootfs string) (uid, gid int, err error) {
	if owner == "" {
		return 0, 0, nil
	}
	owner, group, hasGroup := strings.Cut(owner, ":")
	// name:password:uid:gid:… and name:password:gid:…
	passwd, err := find(filepath.Join(rootfs, "etc/passwd"), owner)
	if uid, err = number(owner, passwd, 2, err); err != nil {
		return 0, 0, fmt.Errorf("user %s: %w", owner, err)
	}
	if !hasGroup {
		gid, _ = number("", passwd, 3, nil)
		return uid, gid, nil
	}
	entry, err := find(filepath.Join(rootfs, "etc/group"), group)
	if gid, err = number(group, entry, 2, err); err != nil {
		return 0, 0, fmt.Errorf("group %s: %w", group, err)
	}
	return uid, gid, nil
}

func find(file, name string) ([]string, error) {
	content, err := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name {
			return fields, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s is not in %s", name, filepath.Base(file)), err)
}

func number(name string, entry []string, field int, err error) (int, error) {
	if n, convErr := strconv.Atoi(name); convErr == nil {
		return n, nil
	}
	if err != nil {
		return 0, err
	}
	if len(entry) <= field {
		return 0, errors.New("its entry is cut short")
	}
	return strconv.Atoi(entry[field])
}
