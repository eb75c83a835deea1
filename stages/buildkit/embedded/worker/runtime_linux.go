package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway/stages/buildkit/host"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	fuseoverlayfs "github.com/containerd/fuse-overlayfs-snapshotter/v2"
	"github.com/moby/buildkit/worker/runc"
	"github.com/moby/sys/userns"
	"golang.org/x/sys/unix"
)

// rootless tells whether RUNs have to do without control groups, which are the
// machine's.
func rootless(isolation host.Isolation) bool {
	return isolation.UserNamespace || userns.RunningInUserNS()
}

// snapshotter makes the snapshotter of a name.
func snapshotter(name string) runc.SnapshotterFactory {
	f := runc.SnapshotterFactory{Name: name}
	switch name {
	case host.Overlay:
		f.New = func(root string) (snapshots.Snapshotter, error) {
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
		}
	case host.FuseOverlay:
		f.New = func(root string) (snapshots.Snapshotter, error) { return fuseoverlayfs.NewSnapshotter(root) }
	default:
		f.New = native.NewSnapshotter
	}
	return f
}

// runtimeState gives OCI runtimes a place for what they know of their containers
// that is gone with this process: memory that only its mount namespace has.
func runtimeState(root string, isolation host.Isolation) error {
	places := []string{"/run/runc", "/run/crun"}
	if rootless(isolation) {
		// For somebody called root, runc would use /run all the same.
		dir := filepath.Join(root, "run")
		if err := errors.Join(os.Setenv("XDG_RUNTIME_DIR", dir), os.Unsetenv("USER")); err != nil {
			return err
		}
		places = []string{dir}
	}
	for _, dir := range places {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
			return fmt.Errorf("making a place for the OCI runtime's state: mounting %s: %w", dir, err)
		}
	}
	return nil
}
