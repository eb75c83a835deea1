package embedded

import (
	"testing"

	"slipway/stages/buildkit/host"
)

// However layers are laid over each other, the image is the same.
func TestSnapshotters(t *testing.T) {
	dir := busybox(t)
	// Not here: removing one of the names of a file with the setuid bit, which makes
	// fuse-overlayfs 1.10 lose that bit when it has no privileges.
	state := shell("echo one >/one; mkdir /d; echo two >/d/two; ln /one /link; chown 12:34 /d; echo >/s; chmod 4711 /s").
		Run(shellArgs("rm -r /d /one; mkdir /d; echo three >/d/three; ln -s nowhere /l")).Root()
	var want string
	for _, name := range []string{"", host.FuseOverlay, host.Native} { // the best one first
		k := newKitchen(t)
		k.opts.Snapshotter = name
		desc, err := k.Solve(t.Context(), k.build(t, state, dir))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want == "" {
			want = desc.Digest.String()
		}
		if got := desc.Digest.String(); got != want {
			t.Errorf("%s makes %s, the best one makes %s", name, got, want)
		}
	}
}
