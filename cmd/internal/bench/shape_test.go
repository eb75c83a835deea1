package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// The same shape is the same tree on any machine: results of different days and
// machines are of the same files. A change to the generator changes these ids.
func TestGenerateIsDeterministic(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		tree  string
	}{
		{Shape{Images: 3, Files: 10}, "e4f773cde2ca1a45d712ffd16f6b094c7d3d820b"},
		{Shape{Images: 3, Files: 10, Seed: 1}, "58dbff9b54f4c23493d7fd6d762b5d22067094e4"},
		{Shape{Images: 4, Files: 4, Bytes: 1 << 16, Depth: 1, Platforms: 2}, "68757d0b91f7ffeff7ba966d2ddf2ceaf429ae60"},
		{Shape{Images: 1, Files: 6, Layered: true}, "5dbb148460325a626cd97b0aab6fa10a434bdb83"},
	} {
		r, err := Generate(t.Context(), filepath.Join(t.TempDir(), "repo"), c.shape)
		if err != nil {
			t.Fatal(err)
		}
		if tree, err := r.Tree(t.Context()); err != nil || tree != c.tree {
			t.Errorf("%v is tree %s, %v; want %s", c.shape, tree, err, c.tree)
		}
		if status, err := r.git(t.Context(), nil, "status", "--porcelain"); err != nil || status != "" {
			t.Errorf("%v: the work tree is not the commit's: %s, %v", c.shape, status, err)
		}
		files, err := filepath.Glob(filepath.Join(r.Dir, "services/*/*/*/*.txt"))
		var size int64
		for _, file := range files {
			info, statErr := os.Stat(file)
			if statErr != nil {
				t.Fatal(statErr)
			}
			size += info.Size()
		}
		if err != nil || len(files) != c.shape.Files || c.shape.Bytes > 0 && size != c.shape.Bytes {
			t.Errorf("%v has %d files of %d bytes, %v", c.shape, len(files), size, err)
		}
	}
}

func TestGenerateNothing(t *testing.T) {
	for _, shape := range []Shape{{}, {Images: 1, Platforms: 99}} {
		if _, err := Generate(t.Context(), filepath.Join(t.TempDir(), "repo"), shape); err == nil {
			t.Errorf("no error for %+v", shape)
		}
	}
}

func TestCommit(t *testing.T) {
	r, err := Generate(t.Context(), filepath.Join(t.TempDir(), "repo"), Shape{Images: 2, Files: 2})
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(source(1), "not committed"); err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(t.Context(), unrelated, "changed\n"); err != nil {
		t.Fatal(err)
	}
	changed, err := r.git(t.Context(), nil, "diff-tree", "-r", "--name-only", before, "HEAD")
	if err != nil || changed != unrelated {
		t.Errorf("the commit changed %q, %v", changed, err)
	}
	if err := r.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := r.git(t.Context(), nil, "status", "--porcelain"); err != nil || status != "" {
		t.Errorf("after Restore: %s, %v", status, err)
	}
}
