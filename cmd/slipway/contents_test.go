package main

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// imageFile is what an image's layers say of a file: its permissions, and its content
// or "-> TARGET" for a link. Directories have names that end with a slash.
type imageFile struct {
	mode    int64
	content string
}

// eachEntry reads all entries of an image's layers from the given one on.
func eachEntry(t *testing.T, img v1.Image, from int, entry func(*tar.Header, string)) {
	t.Helper()
	all, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all[from:] {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			entry(h, string(content))
		}
	}
}

// imageFiles are the files of an image whose layers remove nothing.
func imageFiles(t *testing.T, img v1.Image) map[string]imageFile {
	t.Helper()
	files := map[string]imageFile{}
	eachEntry(t, img, 0, func(h *tar.Header, content string) {
		if h.Typeflag == tar.TypeSymlink {
			content = "-> " + h.Linkname
		}
		files[h.Name] = imageFile{h.Mode, content}
	})
	return files
}

func sameFiles(t *testing.T, got, want map[string]imageFile) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if f, ok := got[name]; !ok || f != want[name] {
			t.Errorf("%s is %v, want %v", name, f, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

// What stands in the Dockerfile is what is in the image: several stages, a
// target, arguments, heredocs, links and modes, all seen from inside a container.
func TestImageContents(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": `project: app
configVersion: 1
---
image: app
dockerfile: Dockerfile
target: app
args:
  GREETING: good day
  BASE: busybox
`,
		"Dockerfile": `# syntax=docker/dockerfile:1
ARG BASE=nothing
FROM $BASE AS build
ARG GREETING=hello
ARG UNSET=default
WORKDIR /src
COPY --chmod=0700 tool.sh .
COPY tree/ tree/
RUN <<EOF
set -e
echo "$GREETING $UNSET $(cat tree/name)" >out
ln -s out link
mkdir -m 0750 dir
EOF

FROM build AS unused
RUN exit 1

FROM ${BASE} AS app
COPY --from=build /src /app
COPY tree /tree
COPY --link tree/name /linked/name
COPY --chown=1000:1000 <<one <<"two" /conf/
expanded $PATH
one
not expanded $PATH
two
RUN --mount=type=bind,from=build,source=/src,target=/mnt cat /mnt/out >/mounted
RUN rm /etc/nsswitch.conf && touch -t 209912312359 /late
ENV WHO="$BASE world" EMPTY=
LABEL a="b c"
USER node
ENTRYPOINT ["/app/tree/run.sh"]
CMD ["default"]

FROM scratch AS last
`,
		"tool.sh":      "#!/bin/sh\n",
		"tree/name":    "world\n",
		"tree/run.sh":  "#!/bin/sh\necho \"$# $1 $(id -un) $PWD $(cat /mounted)\"\n",
		"tree/sub/own": "own\n",
	})
	chmod(t, repo, "tree/run.sh", 0o755)
	for link, target := range map[string]string{"tree/rel": "sub/own", "tree/abs": "/tree/name", "tree/broken": "nowhere", "tree/dir": "sub"} {
		if err := os.Symlink(target, repo.Path(link)); err != nil {
			t.Fatal(err)
		}
	}
	repo.Commit("modes and links")
	cli, name := testenv.Slipway(t), registry.Host+"/published:v1"
	cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", name, "--container-registry-mirror", "http://"+registry.Host).Must(t)

	const greeting = "good day default world\n"
	if out := testenv.RunImage(t, name).Must(t).Stdout; out != "1 default node / "+greeting {
		t.Errorf("the image says %q", out)
	}
	img := registry.Image("published:v1")
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if !slices.Contains(c.Env, "WHO= world") || !slices.Contains(c.Env, "EMPTY=") || c.Labels["a"] != "b c" || c.User != "node" {
		t.Errorf("config %+v", c)
	}

	base, err := registry.Image("library/busybox:latest").Layers()
	if err != nil {
		t.Fatal(err)
	}
	checkLayers(t, img, base)
	all, added := imageFiles(t, img), map[string]imageFile{}
	eachEntry(t, img, len(base), func(h *tar.Header, _ string) { added[h.Name] = all[h.Name] })
	dir, script := imageFile{0o755, ""}, imageFile{0o755, "#!/bin/sh\necho \"$# $1 $(id -un) $PWD $(cat /mounted)\"\n"}
	want := map[string]imageFile{
		"app/": dir, "app/out": {0o644, greeting}, "app/link": {0o777, "-> out"}, "app/dir/": {0o750, ""}, "app/tool.sh": {0o700, "#!/bin/sh\n"},
		"linked/": dir, "linked/name": {0o644, "world\n"},
		"conf/": dir, "conf/one": {0o644, "expanded /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"}, "conf/two": {0o644, "not expanded $PATH\n"},
		"mounted": {0o644, greeting}, "late": {0o644, ""}, "etc/": dir, "etc/.wh.nsswitch.conf": {0, ""},
	}
	for _, root := range []string{"app/tree/", "tree/"} {
		maps.Copy(want, map[string]imageFile{
			root: dir, root + "name": {0o644, "world\n"}, root + "run.sh": script, root + "sub/": dir, root + "sub/own": {0o644, "own\n"},
			root + "rel": {0o777, "-> sub/own"}, root + "abs": {0o777, "-> /tree/name"}, root + "broken": {0o777, "-> nowhere"}, root + "dir": {0o777, "-> sub"},
		})
	}
	sameFiles(t, added, want)
}

// checkLayers checks that an image begins with its base's layers, untouched, and
// that whatever was added has one date.
func checkLayers(t *testing.T, img v1.Image, base []v1.Layer) {
	t.Helper()
	got, err := img.Layers()
	if err != nil || len(got) <= len(base) {
		t.Fatalf("%d layers (%v), the base has %d", len(got), err, len(base))
	}
	for i := range base {
		want, wantErr := base[i].Digest()
		d, err := got[i].Digest()
		if err := errors.Join(err, wantErr); err != nil || d != want {
			t.Errorf("layer %d of the base is %s, was %s (%v)", i, d, want, err)
		}
	}
	day := time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)
	eachEntry(t, img, len(base), func(h *tar.Header, _ string) {
		// The mark of a file that was removed has no date.
		if removed := strings.HasPrefix(path.Base(h.Name), ".wh."); !h.ModTime.Equal(day) && !(removed && h.ModTime.Unix() == 0) {
			t.Errorf("%s is dated %s, want %s", h.Name, h.ModTime.UTC(), day)
		}
		if h.Uname != "" || h.Gname != "" {
			t.Errorf("%s has an owner by name, %s:%s", h.Name, h.Uname, h.Gname)
		}
	})
	config, err := img.ConfigFile()
	if err != nil || !config.Created.Time.Equal(day) {
		t.Errorf("the image is dated %v (%v), want %s", config.Created, err, day)
	}
}
