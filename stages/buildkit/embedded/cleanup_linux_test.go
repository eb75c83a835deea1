package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnmountBelow(t *testing.T) {
	dir := t.TempDir()
	inside, nested := filepath.Join(dir, "root", "a b\\c"), filepath.Join(dir, "root", "a b\\c", "n")
	beside := filepath.Join(dir, "root2")
	for _, point := range []string{inside, nested, beside} {
		if err := os.MkdirAll(point, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", point, "tmpfs", 0, ""); err != nil {
			t.Fatalf("mounting (this test needs root): %v", err)
		}
		t.Cleanup(func() { unix.Unmount(point, unix.MNT_DETACH) })
	}
	if err := unmountBelow(filepath.Join(dir, "root")); err != nil {
		t.Fatal(err)
	}
	left, err := mountPoints(dir)
	if err != nil || len(left) != 1 || left[0] != beside {
		t.Errorf("left are %q (%v), want %s alone", left, err, beside)
	}
}

func TestSlots(t *testing.T) {
	dir := t.TempDir()
	first, release, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, releaseSecond, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseSecond()
	if first == second {
		t.Errorf("two runs have %s", first)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, releaseAgain, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseAgain()
	if again != first {
		t.Errorf("got %s, want the one that is free again, %s", again, first)
	}
}
