package archive

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/content/oci"
)

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// skopeo's own rules of trust are the machine's; these take everything.
const anyPolicy = "--insecure-policy"

// The tools that people have read what a Writer makes, all platforms of it.
func TestToolsReadArchives(t *testing.T) {
	s := newSample(t)
	root := s.index.Manifests[0].Digest.String()
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		t.Run(extension, func(t *testing.T) {
			dir := t.TempDir()
			s.write(t, filepath.Join(dir, "a"+extension))
			plain := "a.tar"
			switch extension {
			case ".tar.gz":
				command(t, dir, "skopeo", anyPolicy, "copy", "--all", "--preserve-digests", "oci-archive:a.tar.gz:v1", "oci:fromgz:v1")
				command(t, dir, "gzip", "-dk", "a.tar.gz")
			case ".tar.zst":
				command(t, dir, "zstd", "-dkq", "a.tar.zst")
			}
			command(t, dir, "skopeo", anyPolicy, "copy", "--all", "--preserve-digests", "oci-archive:"+plain+":v1", "oci:skopeo:v1")
			if index := string(read(t, filepath.Join(dir, "skopeo", "index.json"))); !strings.Contains(index, root) {
				t.Errorf("skopeo has copied %s", index)
			}
			// What the oras program uses for --from-oci-layout FILE.tar.
			store, err := oci.NewFromTar(t.Context(), filepath.Join(dir, plain))
			if err != nil {
				t.Fatal(err)
			}
			if desc, err := oras.Copy(t.Context(), store, "v1", memory.New(), "v1", oras.CopyOptions{}); err != nil || desc.Digest.String() != root {
				t.Errorf("oras has copied %v, %v", desc, err)
			}
			if err := os.Mkdir(filepath.Join(dir, "tree"), 0o777); err != nil {
				t.Fatal(err)
			}
			command(t, dir, "tar", "-xf", plain, "-C", "tree")
			crane := command(t, ".", "go", "tool", "-n", "crane")
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			command(t, dir, crane, "push", "tree", host+"/x:v1")
			if pushed := command(t, dir, crane, "digest", host+"/x:v1"); pushed != root {
				t.Errorf("crane has pushed %s", pushed)
			}
		})
	}
}

// And a Reader reads what they make, whatever they call it.
func TestForeignArchives(t *testing.T) {
	s := newSample(t)
	dir := t.TempDir()
	s.write(t, filepath.Join(dir, "ours.tar"))
	command(t, dir, "skopeo", anyPolicy, "copy", "--all", "--preserve-digests", "oci-archive:ours.tar:v1", "oci-archive:skopeo.tar:v1")
	command(t, dir, "gzip", "-k", "skopeo.tar")
	command(t, dir, "zstd", "-q", "skopeo.tar")
	command(t, dir, "mv", "skopeo.tar.zst", "misnamed.tar.gz")
	command(t, dir, "mkdir", "tree")
	command(t, dir, "tar", "-xf", "ours.tar", "-C", "tree")
	command(t, dir, "tar", "-czf", "gnu.tgz", "-C", "tree", ".")
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, name := range []string{"skopeo.tar", "skopeo.tar.gz", "misnamed.tar.gz", "gnu.tgz"} {
		r := open(t, filepath.Join(dir, name))
		s.checkWhole(t, r)
		if unpacked := r.spool != nil; unpacked == (name == "skopeo.tar") {
			t.Errorf("%s: unpacked %t", name, unpacked)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
