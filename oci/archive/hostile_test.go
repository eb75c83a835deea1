package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// tarOf is a tar of entries as given; Size is filled in.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		hdr := tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Size: int64(len(e.data))}
		if e.change != nil {
			e.change(&hdr)
		}
		if err := w.WriteHeader(&hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type entry struct {
	name, data string
	change     func(*tar.Header)
}

func link(kind byte, to string) func(*tar.Header) {
	return func(hdr *tar.Header) { hdr.Typeflag, hdr.Linkname = kind, to }
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	marker := entry{name: "oci-layout", data: string(layoutFile)}
	index := entry{name: "index.json", data: `{"schemaVersion":2,"manifests":[]}`}
	blobOf := func(s string) entry { return entry{name: blobName(digest.FromString(s)), data: s} }
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":              {nil, "no oci-layout"},
		"text":               {bytes.Repeat([]byte("text "), 300), "neither a tar nor compressed"},
		"no marker":          {tarOf(t, index), "no oci-layout"},
		"other version":      {tarOf(t, entry{name: "oci-layout", data: `{"imageLayoutVersion":"2.0.0"}`}, index), "only 1.0.0"},
		"broken marker":      {tarOf(t, entry{name: "oci-layout", data: "{"}, index), "oci-layout"},
		"no index":           {tarOf(t, marker), "no index.json"},
		"broken index":       {tarOf(t, marker, entry{name: "index.json", data: "]"}), "index.json"},
		"bad digest":         {tarOf(t, marker, entry{name: "index.json", data: `{"manifests":[{"digest":"sha256:../x","size":1}]}`}), "digest"},
		"unknown algorithm":  {tarOf(t, marker, entry{name: "index.json", data: `{"manifests":[{"digest":"md5:00","size":1}]}`}), "digest"},
		"negative size":      {tarOf(t, marker, entry{name: "index.json", data: `{"manifests":[{"digest":"` + digest.FromString("").String() + `","size":-1}]}`}), "size"},
		"docker save":        {tarOf(t, entry{name: "manifest.json", data: "[]"}), "docker save"},
		"twice":              {tarOf(t, marker, index, blobOf("x"), blobOf("x")), "twice"},
		"index twice":        {tarOf(t, marker, index, entry{name: "./index.json", data: "{}"}), "twice"},
		"up":                 {tarOf(t, marker, index, entry{name: "../x"}), "leads out"},
		"absolute":           {tarOf(t, marker, index, entry{name: "/etc/passwd"}), "leads out"},
		"up inside":          {tarOf(t, marker, index, entry{name: "blobs/../index.json", data: "{}"}), "leads out"},
		"symbolic link":      {tarOf(t, marker, entry{name: "index.json", change: link(tar.TypeSymlink, "/etc/passwd")}), "is a link"},
		"hard link":          {tarOf(t, marker, index, entry{name: "x", change: link(tar.TypeLink, "index.json")}), "is a link"},
		"device":             {tarOf(t, marker, index, entry{name: "x", change: func(h *tar.Header) { h.Typeflag = tar.TypeChar }}), "neither a file nor"},
		"absurd size":        {absurd(t, marker), "cut off"},
		"cut off":            {tarOf(t, marker, index, blobOf("x"))[:2560], "cut off"},
		"cut off gzip":       {gzipped(t, tarOf(t, marker, index), "")[:60], "unexpected EOF"},
		"gzip of text":       {gzipped(t, []byte("text"), ""), "gzip"},
		"gzip header only":   {[]byte{0x1f, 0x8b}, "EOF"},
		"links in a gzip":    {gzipped(t, tarOf(t, marker, entry{name: "index.json", change: link(tar.TypeSymlink, "x")}), ""), "is a link"},
		"large index":        {tarOf(t, marker, entry{name: "index.json", data: strings.Repeat(" ", maxIndexSize+1)}), "more than"},
		"bomb":               {bomb(t), "grows to more than"},
		"werf without chart": {gzipped(t, tarOf(t), legacyBundle), "no chart.tar.gz"},
	} {
		r, err := Open(t.Context(), writeFile(t, "a", test.data))
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for _, path := range []string{t.TempDir(), "/dev/null", "/nonexistent"} {
		if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// absurd is a tar whose last header promises much more than there is.
func absurd(t *testing.T, first entry) []byte {
	head, err := header("index.json", 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	return append(tarOf(t, first)[:1024:1024], head...)
}

// bomb is a blob of zeros that compresses to almost nothing.
func bomb(t *testing.T) []byte {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	head, err := header("passed over", 4<<30)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(head)
	zeros := make([]byte, 1<<20)
	for range 1100 {
		z.Write(zeros)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Archives of ours that are damaged: no byte of them may make Open or Fetch give
// something else than what was written.
func TestDamagedSegments(t *testing.T) {
	s := newSample(t)
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		whole, offsets := s.bytes(t, extension), ends(t, s, extension)
		offsets = append(offsets, int64(len(whole)))
		damaged := [][]byte{append(bytes.Clone(whole), whole[:offsets[2]]...)}
		for i, begin := range offsets[:len(offsets)-1] {
			damaged = append(damaged, whole[:begin+1], whole[:begin+30])
			for _, at := range []int64{0, 16, 30, 124, (offsets[i+1] - begin) / 2} {
				if begin+at < int64(len(whole)) {
					data := bytes.Clone(whole)
					data[begin+at] ^= 0xff
					damaged = append(damaged, data)
				}
			}
		}
		failed := 0
		for _, data := range damaged {
			r, err := Open(t.Context(), writeFile(t, "a", data))
			if err != nil {
				failed++
				continue
			}
			if !s.fetchAll(t, r) {
				failed++
			}
			r.Close()
		}
		// Some bytes, such as a tar's times, mean nothing.
		if failed < len(damaged)/2 {
			t.Errorf("%s: only %d of %d damages were noticed", extension, failed, len(damaged))
		}
	}
}

// fetchAll tells whether all can be read; what can be read has to be right.
func (s *sample) fetchAll(t testing.TB, r *Reader) bool {
	all := true
	for _, desc := range s.plan {
		rc, err := r.Fetch(t.Context(), desc)
		if err != nil {
			all = false
			continue
		}
		data, err := io.ReadAll(rc)
		rc.Close()
		if err != nil {
			all = false
		} else if !bytes.Equal(data, s.blobs[desc.Digest]) {
			t.Errorf("%s: other content without an error", desc.Digest)
		}
	}
	return all
}

func TestFetchChecks(t *testing.T) {
	right, wrong := "right", "wrong"
	data := tarOf(t,
		entry{name: "oci-layout", data: string(layoutFile)},
		entry{name: "index.json", data: `{"schemaVersion":2,"manifests":[]}`},
		entry{name: blobName(digest.FromString(right)), data: wrong},
		entry{name: "blobs/sha256/notadigest", data: "passed over"},
		entry{name: "blobs/sha256/", change: func(h *tar.Header) { h.Typeflag = tar.TypeDir }},
		entry{name: "manifest.json", data: "passed over"},
	)
	for _, data := range [][]byte{data, gzipped(t, data, "")} {
		r := open(t, writeFile(t, "a", data))
		desc := ocispec.Descriptor{Digest: digest.FromString(right), Size: int64(len(right))}
		rc, err := r.Fetch(t.Context(), desc)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		if _, err := io.ReadAll(rc); err == nil || !strings.Contains(err.Error(), "does not have its digest") {
			t.Errorf("wrong content: %v", err)
		}
		desc.Size++
		if _, err := r.Fetch(t.Context(), desc); err == nil || !strings.Contains(err.Error(), "5 bytes") {
			t.Errorf("wrong size: %v", err)
		}
		if _, err := r.Fetch(t.Context(), ocispec.Descriptor{Digest: "x"}); err == nil {
			t.Error("no digest, no error")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Open(ctx, r.path); err == nil {
			t.Error("opened when cancelled")
		}
	}
}

// Nothing that is called an archive may do worse than fail.
func FuzzOpen(f *testing.F) {
	s := newSmallSample(f)
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		f.Add(s.bytes(f, extension))
	}
	f.Add(legacyArchive(f))
	f.Add(gzipped(f, s.bytes(f, ".tar"), ""))
	path := filepath.Join(f.TempDir(), "a")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(t.Context(), path)
		if err != nil {
			return
		}
		defer r.Close()
		if missing, err := r.Missing(t.Context()); err == nil && len(missing) > 0 && r.Has(missing[0].Digest) {
			t.Errorf("%s is there and missing", missing[0].Digest)
		}
		for d, b := range r.blobs {
			rc, err := r.Fetch(t.Context(), ocispec.Descriptor{Digest: d, Size: b.size})
			if err != nil {
				continue
			}
			if content, err := io.ReadAll(rc); err == nil && d.Algorithm().FromBytes(content) != d {
				t.Errorf("%s has other content", d)
			}
			rc.Close()
		}
	})
}

// Whatever a .part holds, the archive that is made over it is right.
func FuzzResume(f *testing.F) {
	s := newSmallSample(f)
	formats := []string{".tar", ".tar.gz", ".tar.zst"}
	for i, extension := range formats {
		whole := s.bytes(f, extension)
		f.Add(uint(i), whole)
		f.Add(uint(i), whole[:len(whole)/2])
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, format uint, data []byte) {
		path := filepath.Join(dir, "a"+formats[format%3])
		if err := os.WriteFile(path+".part", data, 0o666); err != nil {
			t.Fatal(err)
		}
		w, err := Create(t.Context(), path, s.plan)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, desc := range s.plan {
			if err := w.Add(t.Context(), desc, s.open(desc.Digest)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.finish([]byte(`{"schemaVersion":2,"manifests":[]}`)); err != nil {
			t.Fatal(err)
		}
		r, err := Open(t.Context(), path+".part")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if !s.fetchAll(t, r) {
			t.Error("a blob is missing or wrong")
		}
	})
}

// newSmallSample is only as large as a fuzzer likes it.
func newSmallSample(t testing.TB) *sample {
	s := newSample(t)
	s.plan = slices.DeleteFunc(s.plan, func(d ocispec.Descriptor) bool { return d.Size > 1000 })
	return s
}
