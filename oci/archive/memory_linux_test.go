package archive

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	largeSize = 300 << 20
	maxPeak   = 64 << 10 // KiB, of the whole process
)

func large() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), largeSize) }

// A blob of 300 MiB is written, found again by a run that continues, read, and
// unpacked from another program's archive, in a process that never has more than
// 64 MiB.
func TestMemoryIsBounded(t *testing.T) {
	const inChild = "SLIPWAY_TEST_MEMORY"
	if os.Getenv(inChild) != "" {
		moveLarge(t)
		checkPeak(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryIsBounded$")
	cmd.Env = append(os.Environ(), inChild+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "of memory") {
		t.Error(err)
	}
}

// checkPeak asks the kernel for the most memory that this process ever had. (The
// figure that a parent gets of its child counts what the parent itself had.)
func checkPeak(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	peak := 0
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	fmt.Println(peak, "KiB of memory")
	if peak == 0 || peak > maxPeak {
		t.Errorf("at most %d are allowed", maxPeak)
	}
}

func moveLarge(t *testing.T) {
	d, err := digest.SHA256.FromReader(large())
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: d, Size: largeSize}
	dir := t.TempDir()
	for _, extension := range []string{".tar", ".tar.zst"} {
		path := filepath.Join(dir, "a"+extension)
		w := writeLarge(t, path, desc)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w, err := Create(t.Context(), path, []ocispec.Descriptor{desc})
		if err != nil {
			t.Fatal(err)
		}
		if !w.Has(d) {
			t.Fatalf("%s: the blob was not kept", extension)
		}
		if err := w.Commit(t.Context(), ocispec.Index{Manifests: []ocispec.Descriptor{desc}}); err != nil {
			t.Fatal(err)
		}
		readLarge(t, path, desc)
	}
	foreign := filepath.Join(dir, "foreign.tgz")
	compress(t, filepath.Join(dir, "a.tar"), foreign)
	readLarge(t, foreign, desc)
}

func writeLarge(t *testing.T, path string, desc ocispec.Descriptor) *Writer {
	w, err := Create(t.Context(), path, []ocispec.Descriptor{desc})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(t.Context(), desc, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(large()), nil }); err != nil {
		t.Fatal(err)
	}
	return w
}

func readLarge(t *testing.T, path string, desc ocispec.Descriptor) {
	r := open(t, path)
	defer r.Close()
	rc, err := r.Fetch(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if n, err := io.Copy(io.Discard, rc); n != largeSize || err != nil {
		t.Fatalf("%s: read %d bytes, %v", path, n, err)
	}
}

func compress(t *testing.T, from, to string) {
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	z, err := gzip.NewWriterLevel(out, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, in); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
