package host

import (
	"fmt"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	fuseoverlayfs "github.com/containerd/fuse-overlayfs-snapshotter/v2"
	"github.com/moby/sys/userns"
)

// Snapshotters, the best first: how layers are laid over each other.
const (
	Overlay     = "overlayfs"      // the kernel does it
	FuseOverlay = "fuse-overlayfs" // a process does it, at the price of speed
	Native      = "native"         // not at all: each layer is a full copy of those below
)

// Snapshotter is the best one that works on the file system of dir, and why those
// before it do not. It belongs into a worker process.
func (i Isolation) Snapshotter(dir string) (name string, why []error) {
	if strings.ContainsAny(dir, `:,\`) { // which separate and quote directories in their options
		return Native, append(why, fmt.Errorf("%s, %s: not in %s, as its name has a colon, a comma or a backslash: put the state elsewhere with XDG_STATE_HOME", Overlay, FuseOverlay, dir))
	}
	user := i.UserNamespace || userns.RunningInUserNS()
	if err := overlayutils.Supported(dir); user && overlayutils.IsPathOnTmpfs(dir) {
		// It mounts, and shows what was in a directory that was removed and made again.
		why = append(why, fmt.Errorf("%s: %s is in memory (tmpfs), where it does not work for users: put the state on a disk with XDG_STATE_HOME", Overlay, dir))
	} else if err == nil {
		return Overlay, nil
	} else if user {
		why = append(why, fmt.Errorf("%s: %w (in user namespaces it needs Linux 5.11)", Overlay, err))
	} else {
		why = append(why, fmt.Errorf("%s: %w", Overlay, err))
	}
	err := fuseDevice()
	if err == nil {
		err = fuseoverlayfs.Supported(dir)
	}
	if err == nil {
		return FuseOverlay, why
	}
	return Native, append(why, fmt.Errorf("%s: %w", FuseOverlay, err))
}

// fuseDevice returns what keeps this process from file systems of programs.
func fuseDevice() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: as root, modprobe fuse and chmod 666 /dev/fuse; for a container, --device /dev/fuse", err)
	}
	return f.Close()
}
