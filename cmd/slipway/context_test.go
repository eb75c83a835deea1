package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// Files of contextAddFiles come from the work tree, enter the image and the key,
// and are missed where the configuration names them.
func TestContextAddFiles(t *testing.T) {
	t.Parallel()
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":             "project: app\nconfigVersion: 1\n---\nimage: app\ncontext: sub\ndockerfile: Dockerfile\ncontextAddFiles:\n- dist\n- tool\n- committed\n",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig:\n  dockerfile:\n    allowContextAddFiles: [sub/dist, sub/tool, sub/committed]\n",
		"sub/Dockerfile":        "FROM scratch\nCOPY . /\n",
		"sub/committed":         "as committed\n",
		".gitignore":            "dist\ntool\n",
	})
	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	plan := func() string { return planned(t, cli, repo).Images[0].Key }
	build := func() map[string]imageFile {
		cli.Run(repo.Dir, nil, "build", "--repo", registry.Host+"/app").Must(t)
		return imageFiles(t, registry.Image("app:"+plan()))
	}

	r := cli.Run(repo.Dir, nil, "plan")
	for _, want := range []string{"werf.yaml:8:", "8 | - dist", `"dist"`, "no such file"} {
		if r.Code != 2 || !strings.Contains(r.Stderr, want) {
			t.Errorf("exit code %d, no %q in:\n%s", r.Code, want, r.Stderr)
		}
	}

	repo.Write("sub/dist/app.js", "one\n")
	repo.Write("sub/dist/.hidden", "")
	repo.Write("sub/dist/not in the list of git", "")
	repo.Write("sub/tool", "#!/bin/sh\n")
	if err := os.Chmod(repo.Path("sub/tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("app.js", repo.Path("sub/dist/link")); err != nil {
		t.Fatal(err)
	}
	repo.Write("beside", "not committed, and outside of the context\n")
	first, files := plan(), build()
	want := map[string]imageFile{
		"Dockerfile": {0o644, "FROM scratch\nCOPY . /\n"}, "committed": {0o644, "as committed\n"}, "tool": {0o755, "#!/bin/sh\n"},
		"dist/": {0o755, ""}, "dist/app.js": {0o644, "one\n"}, "dist/.hidden": {0o644, ""}, "dist/not in the list of git": {0o644, ""},
		"dist/link": {0o777, "-> app.js"},
	}
	sameFiles(t, files, want)

	// Each change of what is read gives another key, and going back the first.
	changes := map[string]struct{ change, back func() }{
		"content":           {func() { repo.Write("sub/dist/app.js", "two\n") }, func() { repo.Write("sub/dist/app.js", "one\n") }},
		"mode":              {func() { chmod(t, repo, "sub/tool", 0o644) }, func() { chmod(t, repo, "sub/tool", 0o755) }},
		"another file":      {func() { repo.Write("sub/dist/z", "") }, func() { repo.Remove("sub/dist/z") }},
		"a committed file":  {func() { repo.Write("sub/committed", "changed\n") }, func() { repo.Write("sub/committed", "as committed\n") }},
		"a link's target":   {func() { relink(t, repo, "sub/dist/link", ".hidden") }, func() { relink(t, repo, "sub/dist/link", "app.js") }},
		"an empty new file": {func() { repo.Write("sub/dist/d/e", "") }, func() { repo.Remove("sub/dist/d") }},
	}
	for name, c := range changes {
		c.change()
		if plan() == first {
			t.Errorf("%s: the key did not change", name)
		}
		c.back()
		if plan() != first {
			t.Errorf("%s: the key did not change back", name)
		}
	}
	repo.Write("beside", "changed\n")
	if plan() != first {
		t.Error("a file that is not read changed the key")
	}
	repo.Write("sub/dist/app.js", "two\n")
	if files := build(); files["dist/app.js"].content != "two\n" {
		t.Errorf("the image has %q", files["dist/app.js"].content)
	}
}

func chmod(t *testing.T, repo *testenv.Repo, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(repo.Path(path), mode); err != nil {
		t.Fatal(err)
	}
}

func relink(t *testing.T, repo *testenv.Repo, path, target string) {
	t.Helper()
	repo.Remove(path)
	if err := os.Symlink(target, repo.Path(path)); err != nil {
		t.Fatal(err)
	}
}

// A context of thousands of files, one of them big, with an ignore file: what is
// in the image is what is not ignored, no file lost and no byte of the big one.
func TestLargeContext(t *testing.T) {
	t.Parallel()
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml":     "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile":    "FROM scratch\nCOPY . /\n",
		".dockerignore": "# comment\n**/*.log\n!keep.log\nnode_modules\ndir7/sub\nDockerfile\n.dockerignore\nwerf.yaml\n",
		"keep.log":      "kept\n", "drop.log": "ignored\n", "node_modules/m/index.js": "ignored\n",
	})
	want := []string{"keep.log", "big.bin"}
	for i := range 3000 {
		dir := fmt.Sprintf("dir%d/", i%20)
		name := fmt.Sprintf("%sfile%d.txt", dir, i)
		switch i % 10 {
		case 8:
			name = fmt.Sprintf("%ssub/file%d.txt", dir, i)
		case 9:
			name = fmt.Sprintf("%sfile%d.log", dir, i)
		}
		repo.Write(name, name)
		if i%10 != 9 && !strings.HasPrefix(name, "dir7/sub") {
			want = append(want, name)
		}
	}
	var big []byte
	for i := 0; len(big) < 20<<20; i++ {
		big = append(strconv.AppendInt(big, int64(i), 10), '\n')
	}
	repo.Write("big.bin", string(big))
	repo.Commit("many files")

	registry, cli := testenv.Registry(t), testenv.Slipway(t)
	cli.Run(repo.Dir, nil, "build", "--repo", registry.Host+"/app").Must(t)
	key := planned(t, cli, repo).Images[0].Key
	var got []string
	for name, f := range imageFiles(t, registry.Image("app:"+key)) {
		if strings.HasSuffix(name, "/") {
			continue
		}
		got = append(got, name)
		switch {
		case name == "big.bin":
			if f.content != string(big) {
				t.Errorf("big.bin has other content, %d bytes", len(f.content))
			}
		case name != "keep.log" && f.content != name:
			t.Errorf("%s has the content %q", name, f.content)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the image has %d files, want %d", len(got), len(want))
	}
	// What is ignored is not in the key either; what is not, is.
	repo.Write("drop.log", "changed\n")
	repo.Write("node_modules/more", "")
	repo.Commit("change what is ignored")
	if planned(t, cli, repo).Images[0].Key != key {
		t.Error("ignored files change the key")
	}
	repo.Write("dir3/file3.txt", "changed\n")
	repo.Commit("change one file of many")
	if planned(t, cli, repo).Images[0].Key == key {
		t.Error("a changed file does not change the key")
	}
}
