package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// binfmtDir is where Linux keeps who runs which foreign executables
// (Documentation/admin-guide/binfmt-misc.rst).
const binfmtDir = "/proc/sys/fs/binfmt_misc"

// arm64 is what executables for linux/arm64 begin with, and which bits of it
// count, as the kernel reads it.
const arm64 = `\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00` + ":" +
	`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`

// EmulateARM64 lets the machine run executables for linux/arm64 until the test
// ends, as installing qemu-user-static does, also where it is installed and not
// registered. That is for root: for another user it is there already.
func EmulateARM64(t testing.TB) {
	t.Helper()
	if runtime.GOARCH == "arm64" {
		return // it does so anyway
	}
	if os.Geteuid() != 0 {
		if registered(t, "aarch64") == "" {
			t.Fatal("the test needs emulation of arm64: as root, apt-get install qemu-user-static, or run .ci/rootless")
		}
		return
	}
	qemu := Tool(t, "qemu-aarch64-static")
	if _, err := os.Stat(filepath.Join(binfmtDir, "register")); err != nil {
		command(t, "", nil, "mount", "-t", "binfmt_misc", "none", binfmtDir)
		t.Cleanup(func() { _ = exec.Command("umount", binfmtDir).Run() })
	}
	const name = "slipway-test-arm64"
	unregister := func() { _ = os.WriteFile(filepath.Join(binfmtDir, name), []byte("-1"), 0) }
	unregister() // what a test left that was killed
	// F: the kernel opens qemu now, so that it is there for processes in any root.
	if err := os.WriteFile(filepath.Join(binfmtDir, "register"), []byte(":"+name+":M::"+arm64+":"+qemu+":F"), 0); err != nil {
		t.Fatalf("letting qemu run executables for arm64: %v", err)
	}
	t.Cleanup(unregister)
}

// NoEmulation takes from the machine, until the test ends, what Debian's
// qemu-user-static has registered for an architecture by QEMU's name. That is for
// root: for another user it is gone already.
func NoEmulation(t testing.TB, arch string) {
	t.Helper()
	path := registered(t, arch)
	if path == "" {
		return
	}
	if err := os.WriteFile(path, []byte("0"), 0); err != nil {
		t.Fatalf("turning emulation off (for another user than root, .ci/rootless has done it): %v", err)
	}
	t.Cleanup(func() { _ = os.WriteFile(path, []byte("1"), 0) })
}

// registered is the entry of Debian's qemu-user-static for an architecture, "" if
// there is none that is turned on.
func registered(t testing.TB, arch string) string {
	t.Helper()
	path := filepath.Join(binfmtDir, "qemu-"+arch)
	content, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(content), "enabled") {
		return ""
	}
	return path
}
