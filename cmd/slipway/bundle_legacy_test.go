package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"slipway/cmd/internal/testenv"
	"slipway/stages/chart"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// zipped is a gzipped tar, as werf 2 writes its archives.
func zipped(t *testing.T, comment string, names []string, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	gz.Comment = comment
	w := tar.NewWriter(gz)
	for _, file := range names {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o777, Size: int64(len(files[file]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[file]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An archive of werf 2 repacks its images: what its chart says of their digests
// is not true, and is put right on the way into a registry.
func TestBundleFromAnArchiveOfWerf(t *testing.T) {
	t.Parallel()
	const tag = "3f2a-1690000000000"
	ref, err := name.ParseReference("old.example.org/app:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	gz := gzip.NewWriter(&image)
	if err := tarball.Write(ref, testenv.TreeImage(t, nil, map[string]string{"hello": "there"}, nil), gz); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"c/templates/a.yaml": {Data: []byte(podOf("{{ .Values.global.werf.images.web.ref }}", "a"))}}
	s, err := chart.Load(t.Context(), files, "c", chart.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stale := "sha256:" + strings.Repeat("0", 64)
	pkg, err := s.Package(chart.Options{Project: "app", Version: "1.0.0", Repo: "old.example.org/app", Images: []chart.Image{
		{Name: "web", Repo: "old.example.org/app", Tag: tag, Digest: stale},
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "werf.tar.gz")
	data := zipped(t, "bundle-archive", []string{"chart.tar.gz", "images/" + tag + ".tar.gz"}, map[string][]byte{
		"chart.tar.gz": pkg.Archive, "images/" + tag + ".tar.gz": image.Bytes(),
	})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}

	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	there, again := registry.Host+"/moved/app:1.0.0", "archive:"+filepath.Join(dir, "new.tar")
	cli.Run(dir, nil, "bundle", "copy", "--from", "archive:"+file, "--to", there).Must(t)
	cli.Run(dir, nil, "bundle", "verify", there).Must(t)
	c := inspect(t, there)
	if len(c.Images) != 1 || c.Images[0].Digest == stale || c.Images[0].Ref != registry.Host+"/moved/app:"+tag+"@"+c.Images[0].Digest {
		t.Errorf("images: %+v", c.Images)
	}
	cli.Run(dir, nil, "bundle", "copy", "--from", "archive:"+file, "--to", again).Must(t)
	cli.Run(dir, nil, "bundle", "verify", again).Must(t)
	if got := inspect(t, again); got.Images[0].Digest != c.Images[0].Digest {
		t.Errorf("%s in an archive, %s in a registry", got.Images[0].Digest, c.Images[0].Digest)
	}
}
