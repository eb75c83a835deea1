package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"slipway/oci/filelock"
)

func TestLayoutReadsCreateNothing(t *testing.T) {
	parent := t.TempDir()
	repo := repository(t, newSession(t, Options{}), "oci:"+parent+"/new")
	if _, found, err := Lookup(t.Context(), repo, "v1"); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
	blob := NewBlob(ocispec.MediaTypeImageLayer, []byte("x"))
	if exists, err := repo.Exists(t.Context(), blob.Descriptor); exists || err != nil {
		t.Errorf("exists %t, %v", exists, err)
	}
	if _, err := repo.Resolve(t.Context(), someDigest.String()); !IsNotFound(err) {
		t.Errorf("error is %v", err)
	}
	entries, err := os.ReadDir(parent)
	check(t, err)
	if len(entries) != 0 {
		t.Errorf("reading created %s", entries[0].Name())
	}
}

// Two sessions of eight goroutines each, as two processes would, write tags of
// their own and fight for one.
func TestLayoutConcurrency(t *testing.T) {
	dir := t.TempDir() + "/layout"
	repos := []Repository{
		repository(t, newSession(t, Options{}), "oci:"+dir),
		repository(t, newSession(t, Options{}), "oci:"+dir),
	}
	if repos[0] == repos[1] {
		t.Fatal("two sessions share a layout")
	}
	var all []Repository
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 16 {
		repo := repos[i%2]
		all = append(all, repo)
		group.Go(func() error {
			manifest, blobs := testImage(fmt.Sprint(i), linux)
			desc, err := Pack(ctx, repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
			if err != nil {
				return err
			}
			return repo.Tag(ctx, desc, fmt.Sprint("own-", i))
		})
	}
	check(t, group.Wait())
	wantOne(t, claimAll(t, all))
	for i := range 16 {
		_, found, err := Lookup(t.Context(), repos[(i+1)%2], fmt.Sprint("own-", i))
		check(t, err)
		if !found {
			t.Errorf("tag own-%d is lost", i)
		}
	}
}

// What a second session writes is seen although the first has read before, and
// also when the first may keep what it read.
func TestLayoutSeesOthersWrites(t *testing.T) {
	dir := t.TempDir()
	mine, theirs := repository(t, newSession(t, Options{}), "oci:"+dir), repository(t, newSession(t, Options{}), "oci:"+dir)
	a, b := pushImage(t, mine, "a", linux), pushImage(t, mine, "b", linux)
	check(t, mine.Tag(t.Context(), a, "x"))
	old := time.Now().Add(-time.Hour)
	check(t, os.Chtimes(filepath.Join(dir, "index.json"), old, old))
	for range 2 {
		got, _, err := Lookup(t.Context(), mine, "x")
		check(t, err)
		if !same(got, a) {
			t.Fatalf("the tag names %+v, want %+v", got, a)
		}
	}
	if mine.(*layout).stat == nil {
		t.Error("an index that has not changed for an hour is not kept")
	}
	check(t, theirs.Tag(t.Context(), b, "x"))
	got, _, err := Lookup(t.Context(), mine, "x")
	check(t, err)
	if !same(got, b) {
		t.Errorf("the tag still names %+v, want %+v", got, b)
	}
}

// The files are a function of what was written, not of the order.
func TestLayoutIndexIsOrdered(t *testing.T) {
	write := func(tags ...string) string {
		dir := t.TempDir()
		repo := repository(t, newSession(t, Options{}), "oci:"+dir)
		desc := pushImage(t, repo, "x", linux)
		for _, tag := range tags {
			check(t, repo.Tag(t.Context(), desc, tag))
		}
		raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
		check(t, err)
		return string(raw)
	}
	a, b := write("one", "two", "three"), write("three", "two", "one", "two")
	if a != b {
		t.Errorf("index.json differs:\n%s\n%s", a, b)
	}
}

// A tag whose manifest somebody deleted is a miss, and can be claimed anew.
func TestLayoutMendsItself(t *testing.T) {
	dir := t.TempDir()
	repo := repository(t, newSession(t, Options{}), "oci:"+dir)
	lost := pushImage(t, repo, "lost", linux)
	check(t, repo.Tag(t.Context(), lost, "key"))
	check(t, os.Remove(filepath.Join(dir, "blobs", "sha256", lost.Digest.Encoded())))
	if _, found, err := Lookup(t.Context(), repo, "key"); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
	next := pushImage(t, repo, "next", linux)
	got, err := Claim(t.Context(), repo, next, "key")
	check(t, err)
	if !same(got, next) {
		t.Errorf("claimed %+v, want %+v", got, next)
	}
}

func TestLayoutResolvesOnlyManifestsByDigest(t *testing.T) {
	repo := repository(t, newSession(t, Options{}), "oci:"+t.TempDir())
	for _, test := range []struct{ content, want string }{
		{`{"schemaVersion":2,"config":{},"layers":[]}`, ocispec.MediaTypeImageManifest},
		{`{"schemaVersion":2,"manifests":[]}`, ocispec.MediaTypeImageIndex},
		{`{"schemaVersion":2,"mediaType":"` + mediaTypeDockerManifest + `"}`, mediaTypeDockerManifest},
		{`{"architecture":"amd64","config":{}}`, ""},
		{`{`, ""},
		{`null`, ""},
	} {
		blob := NewBlob("application/octet-stream", []byte(test.content))
		check(t, repo.Push(t.Context(), blob.Descriptor, reader(test.content)))
		got, err := repo.Resolve(t.Context(), blob.Descriptor.Digest.String())
		if got.MediaType != test.want || IsNotFound(err) != (test.want == "") {
			t.Errorf("%s is %q, %v", test.content, got.MediaType, err)
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	project := t.TempDir()
	writeFile(t, project+"/werf.yaml", "x")
	file := t.TempDir() + "/file"
	writeFile(t, file, "x")
	damaged := t.TempDir()
	writeFile(t, damaged+"/oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	writeFile(t, damaged+"/index.json", `{`)
	for _, test := range []struct{ dir, want string }{
		{project, "no OCI image layout, and not empty (werf.yaml)"},
		{file, "not a directory"},
		{damaged, "index.json is damaged"},
	} {
		repo := repository(t, newSession(t, Options{}), "oci:"+test.dir)
		blob := NewBlob(ocispec.MediaTypeImageManifest, []byte("{}"))
		err := repo.Push(t.Context(), blob.Descriptor, reader("{}"))
		if err == nil {
			err = repo.Tag(t.Context(), blob.Descriptor, "v1")
		}
		wantError(t, err, "oci:"+test.dir, test.want)
	}
	if _, err := os.Stat(project + "/blobs"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a project directory was written to")
	}
	repo := repository(t, newSession(t, Options{}), "oci:"+damaged)
	_, _, err := Lookup(t.Context(), repo, "v1")
	wantError(t, err, "look up oci:"+damaged+":v1", "damaged")
	if err := repo.Tag(t.Context(), NewBlob("", nil).Descriptor, "a/b"); err == nil {
		t.Error("an invalid tag was written")
	}
}

// A lock that another process holds is waited for, and the wait can be ended.
func TestLayoutLock(t *testing.T) {
	dir := t.TempDir()
	repo := repository(t, newSession(t, Options{}), "oci:"+dir).(*layout)
	desc := pushImage(t, repo, "x", linux)
	held, release := make(chan struct{}), make(chan struct{})
	group := errgroup.Group{}
	group.Go(func() error {
		return repo.locked(t.Context(), func() error { close(held); <-release; return nil })
	})
	<-held
	file, err := os.OpenFile(filepath.Join(dir, layoutLock), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	if ok, err := filelock.Try(file); ok || err != nil {
		t.Errorf("the lock is held twice: %t, %v", ok, err)
	}
	group.Go(func() error { return repo.Tag(t.Context(), desc, "v1") })
	close(release)
	check(t, group.Wait())
	if _, found, err := Lookup(t.Context(), repo, "v1"); !found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
}

func skopeo(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "skopeo", args...).Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		t.Fatalf("skopeo %s: %s", strings.Join(args, " "), failed.Stderr)
	}
	check(t, err)
	return out
}

// skopeo stands for all other tools: it reads what is written here, and what it
// writes is read here.
func TestLayoutAndSkopeo(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()+"/copy"
	s := newSession(t, Options{})
	repo := repository(t, s, "oci:"+dir)
	desc := pushImage(t, repo, "x", linux)
	check(t, repo.Tag(t.Context(), pushImage(t, repo, "y", linux), "latest"))
	key := strings.Repeat("0123456789abcdef", 4)
	_, err := Claim(t.Context(), repo, desc, key)
	check(t, err)

	var inspected struct{ Digest, Os, Architecture string }
	check(t, json.Unmarshal(skopeo(t, "inspect", "oci:"+dir+":"+key), &inspected))
	if inspected.Digest != desc.Digest.String() || inspected.Os != "linux" || inspected.Architecture != "amd64" {
		t.Errorf("skopeo sees %+v, want %s", inspected, desc.Digest)
	}

	skopeo(t, "copy", "--insecure-policy", "oci:"+dir+":"+key, "oci:"+copied+":v1")
	theirs := repository(t, s, "oci:"+copied)
	got, found, err := Lookup(t.Context(), theirs, "v1")
	check(t, err)
	if !found || !same(got, desc) {
		t.Errorf("skopeo's copy is %+v, want %+v", got, desc)
	}
	// A tag added to skopeo's layout leaves its own alone.
	check(t, theirs.Tag(t.Context(), got, "v2"))
	check(t, json.Unmarshal(skopeo(t, "inspect", "oci:"+copied+":v1"), &inspected))
	entries, err := readIndex(filepath.Join(copied, "index.json"))
	check(t, err)
	if n := len(slices.DeleteFunc(entries, func(e ocispec.Descriptor) bool { return e.Digest != desc.Digest })); n != 2 {
		t.Errorf("index.json has %d entries for the image, want 2", n)
	}
}
