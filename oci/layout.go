package oci

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"

	"slipway/oci/filelock"
)

const layoutLock = "index.json.lock"

// layout is a repository in a directory: an OCI image layout whose index.json
// has one entry per tag, with the plain tag as org.opencontainers.image.ref.name
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
//
// Any number of processes may use it at once: blobs and index.json appear by
// renaming, so that readers need no lock, and writers of index.json hold a file
// lock from reading to renaming. Nothing is synced to disk: what a crash loses
// is built again. A directory that does not exist is an empty repository, and
// only a write makes it.
type layout struct {
	ref   Reference
	dir   string // absolute
	blobs *oci.Storage

	mu      sync.Mutex
	made    bool
	stat    fs.FileInfo // of the index.json that entries were read from, if they may be used again
	entries []ocispec.Descriptor
}

func (s *Session) layout(ref Reference) (Repository, error) {
	dir, err := filepath.Abs(ref.Dir)
	if err != nil {
		return nil, &Error{Op: "open", Ref: ref.Name(), Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo, ok := s.repos[layoutPrefix+dir]; ok {
		return repo, nil
	}
	blobs, err := oci.NewStorage(dir)
	if err != nil {
		return nil, &Error{Op: "open", Ref: ref.Name(), Err: err}
	}
	repo := &layout{ref: ref, dir: dir, blobs: blobs}
	s.repos[layoutPrefix+dir] = repo
	return repo, nil
}

func (l *layout) Reference() Reference { return l.ref }

func (l *layout) fail(op, what string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Ref: l.ref.Name() + what, Err: err}
}

func (l *layout) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := l.blobs.Fetch(ctx, desc)
	return rc, l.fail("fetch", "@"+desc.Digest.String(), err)
}

func (l *layout) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	exists, err := l.blobs.Exists(ctx, desc)
	return exists, l.fail("look up", "@"+desc.Digest.String(), err)
}

func (l *layout) Push(ctx context.Context, desc ocispec.Descriptor, data io.Reader) error {
	err := l.make(ctx)
	if err == nil {
		err = l.blobs.Push(ctx, desc, data)
	}
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return l.fail("push", "@"+desc.Digest.String(), err)
}

func (l *layout) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	if err := ctx.Err(); err != nil {
		return ocispec.Descriptor{}, err
	}
	entries, err := l.read()
	if err != nil {
		return ocispec.Descriptor{}, l.fail("look up", ":"+reference, err)
	}
	if d, err := digest.Parse(reference); err == nil {
		desc, err := l.resolveDigest(ctx, entries, d)
		return desc, l.fail("look up", "@"+reference, err)
	}
	desc, err := l.find(ctx, entries, reference)
	return desc, l.fail("look up", ":"+reference, err)
}

// find is what a tag names. A tag whose manifest is gone is no tag: what it
// named will then be made again, which mends the layout.
func (l *layout) find(ctx context.Context, entries []ocispec.Descriptor, tag string) (ocispec.Descriptor, error) {
	for _, entry := range entries {
		if entry.Annotations[ocispec.AnnotationRefName] != tag {
			continue
		}
		if exists, err := l.blobs.Exists(ctx, entry); err != nil || exists {
			return plain(entry), err
		}
	}
	return ocispec.Descriptor{}, errdef.ErrNotFound
}

// resolveDigest also finds manifests without a tag, which are in no index: the
// manifest itself says what it is.
func (l *layout) resolveDigest(ctx context.Context, entries []ocispec.Descriptor, d digest.Digest) (ocispec.Descriptor, error) {
	i := slices.IndexFunc(entries, func(e ocispec.Descriptor) bool { return e.Digest == d })
	if i >= 0 {
		if exists, err := l.blobs.Exists(ctx, entries[i]); err != nil || exists {
			return plain(entries[i]), err
		}
	}
	rc, err := l.blobs.Fetch(ctx, ocispec.Descriptor{Digest: d})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, MaxManifestSize+1))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	mediaType := sniffManifest(raw)
	if mediaType == "" {
		return ocispec.Descriptor{}, fmt.Errorf("not a manifest: %w", errdef.ErrNotFound)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}, nil
}

func (l *layout) Tag(ctx context.Context, desc ocispec.Descriptor, tag string) error {
	err := l.update(ctx, func(entries []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		return l.withTag(ctx, entries, desc, tag)
	})
	return l.fail("tag", ":"+tag, err)
}

// claim implements claimer: under the lock it is simply atomic.
func (l *layout) claim(ctx context.Context, desc ocispec.Descriptor, tag string) (winner ocispec.Descriptor, err error) {
	err = l.update(ctx, func(entries []ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		winner, err = l.find(ctx, entries, tag)
		if !errors.Is(err, errdef.ErrNotFound) {
			return nil, err
		}
		winner = plain(desc)
		return l.withTag(ctx, entries, desc, tag)
	})
	return winner, l.fail("claim", ":"+tag, err)
}

func (l *layout) withTag(ctx context.Context, entries []ocispec.Descriptor, desc ocispec.Descriptor, tag string) ([]ocispec.Descriptor, error) {
	if !IsTag(tag) {
		return nil, fmt.Errorf("invalid tag %q", tag)
	}
	if exists, err := l.blobs.Exists(ctx, desc); err != nil || !exists {
		return nil, cmp.Or(err, fmt.Errorf("manifest %s: %w", desc.Digest, errdef.ErrNotFound))
	}
	name := func(e ocispec.Descriptor) string { return e.Annotations[ocispec.AnnotationRefName] }
	entries = slices.DeleteFunc(slices.Clone(entries), func(e ocispec.Descriptor) bool { return name(e) == tag })
	entry := plain(desc)
	entry.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	entries = append(entries, entry)
	// In order of tags, so that the order of writing does not show.
	slices.SortStableFunc(entries, func(a, b ocispec.Descriptor) int { return strings.Compare(name(a), name(b)) })
	return entries, nil
}

// plain is a descriptor as a registry would resolve it.
func plain(desc ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
}

// read returns the entries of index.json. They are kept for the next read while
// the file does not change. A file younger than two seconds may change without
// a change of its times, and so is read again.
func (l *layout) read() ([]ocispec.Descriptor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := filepath.Join(l.dir, ocispec.ImageIndexFile)
	stat, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.stat != nil && os.SameFile(stat, l.stat) && stat.ModTime().Equal(l.stat.ModTime()) && stat.Size() == l.stat.Size() {
		return l.entries, nil
	}
	entries, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	l.stat = nil
	if time.Since(stat.ModTime()) > 2*time.Second {
		l.stat, l.entries = stat, entries
	}
	return entries, nil
}

func readIndex(path string) ([]ocispec.Descriptor, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", ocispec.ImageIndexFile, err)
	}
	return index.Manifests, nil
}

// update changes index.json under the lock; change returns nil to leave it.
func (l *layout) update(ctx context.Context, change func([]ocispec.Descriptor) ([]ocispec.Descriptor, error)) error {
	if err := l.make(ctx); err != nil {
		return err
	}
	return l.locked(ctx, func() error {
		entries, err := readIndex(filepath.Join(l.dir, ocispec.ImageIndexFile))
		if err != nil {
			return err
		}
		if entries, err = change(entries); err != nil || entries == nil {
			return err
		}
		return l.writeIndex(entries)
	})
}

// Prepare makes repo ready for someone else to write blobs into: a layout is
// made, or refused if the directory holds something else. For a registry there is
// nothing to do.
func Prepare(ctx context.Context, repo Repository) error {
	l, ok := repo.(*layout)
	if !ok {
		return nil
	}
	if err := l.make(ctx); err != nil {
		return l.fail("make", "", err)
	}
	return nil
}

// make creates the layout if it is not there.
func (l *layout) make(ctx context.Context) error {
	l.mu.Lock()
	made := l.made
	l.mu.Unlock()
	if made {
		return nil
	}
	if err := l.checkForeign(); err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o777); err != nil {
		return err
	}
	err := l.locked(ctx, func() error {
		if _, err := os.Stat(filepath.Join(l.dir, ocispec.ImageIndexFile)); errors.Is(err, fs.ErrNotExist) {
			if err := l.writeIndex([]ocispec.Descriptor{}); err != nil {
				return err
			}
		}
		if _, err := os.Stat(filepath.Join(l.dir, ocispec.ImageLayoutFile)); errors.Is(err, fs.ErrNotExist) {
			return l.writeJSON(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
		}
		return nil
	})
	l.mu.Lock()
	l.made = err == nil
	l.mu.Unlock()
	return err
}

// checkForeign refuses to write into a directory that holds something else: a
// slip in --repo should not litter a project.
func (l *layout) checkForeign() error {
	files, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	foreign := ""
	for _, file := range files {
		switch name := strings.TrimSuffix(file.Name(), ".tmp"); name {
		case ocispec.ImageLayoutFile:
			return nil
		case ocispec.ImageIndexFile, ocispec.ImageBlobsDir, layoutLock, "ingest":
			// Another process is just making the layout.
		default:
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("the directory is no OCI image layout, and not empty (%s): name another", foreign)
	}
	return nil
}

func (l *layout) writeIndex(entries []ocispec.Descriptor) error {
	return l.writeJSON(ocispec.ImageIndexFile, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: entries,
	})
}

// writeJSON replaces a file; callers hold the lock.
func (l *layout) writeJSON(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path+".tmp", raw, 0o666); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// locked runs f while no other process or session runs its own.
func (l *layout) locked(ctx context.Context, f func() error) error {
	file, err := os.OpenFile(filepath.Join(l.dir, layoutLock), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer file.Close() // and with it the lock
	for {
		ok, err := filelock.Try(file)
		if err != nil {
			return fmt.Errorf("lock %s: %w", layoutLock, err)
		}
		if ok {
			return f()
		}
		// It is held for a few milliseconds only. Waiting in the system call
		// instead could not be cancelled.
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}
