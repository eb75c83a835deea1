package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// resume writes over what is in path.part, and returns how many blobs it asked for.
func (s *sample) resume(t testing.TB, path string) (opened int) {
	t.Helper()
	w, err := Create(t.Context(), path, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, desc := range s.plan {
		had := w.Has(desc.Digest)
		err := w.Add(t.Context(), desc, func(ctx context.Context) (io.ReadCloser, error) {
			if had {
				t.Errorf("%s is fetched again", desc.Digest)
			}
			opened++
			return s.open(desc.Digest)(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		if !w.Has(desc.Digest) {
			t.Errorf("%s was added and is not there", desc.Digest)
		}
	}
	if err := w.Commit(t.Context(), s.index); err != nil {
		t.Fatal(err)
	}
	return opened
}

// ends are the offsets at which the entries of an archive end.
func ends(t testing.TB, s *sample, extension string) []int64 {
	t.Helper()
	w, err := Create(t.Context(), filepath.Join(t.TempDir(), "a"+extension), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	offsets := []int64{0, w.end}
	for _, desc := range s.plan {
		if err := w.Add(t.Context(), desc, s.open(desc.Digest)); err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, w.end)
	}
	return offsets
}

// cut is what a writer that is killed leaves: the beginning of the archive, in
// which the entry that was being written has no length yet.
func cut(whole []byte, offsets []int64, at int64, compressed bool) []byte {
	part := bytes.Clone(whole[:at])
	for i, begin := range offsets {
		if compressed && begin < at && (i+1 == len(offsets) || offsets[i+1] > at) {
			clear(part[min(begin+16, at):min(begin+headSize, at)])
		}
	}
	return part
}

func TestResume(t *testing.T) {
	s := newSample(t)
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		whole := s.bytes(t, extension)
		offsets := ends(t, s, extension)
		var cuts []int64
		for _, offset := range offsets {
			cuts = append(cuts, offset-1, offset, offset+20, offset+700)
		}
		cuts = append(cuts, int64(len(whole)), int64(len(whole))-5)
		for _, at := range cuts {
			if at < 0 || at > int64(len(whole)) {
				continue
			}
			kept := len(offsets) - 2
			for kept > 0 && offsets[kept+1] > at {
				kept--
			}
			path := filepath.Join(t.TempDir(), "a"+extension)
			if err := os.WriteFile(path+".part", cut(whole, offsets, at, extension != ".tar"), 0o666); err != nil {
				t.Fatal(err)
			}
			if opened, want := s.resume(t, path), len(s.plan)-kept; opened != want {
				t.Errorf("%s cut at %d: fetched %d blobs, want %d", extension, at, opened, want)
			}
			if !bytes.Equal(whole, read(t, path)) {
				t.Errorf("%s cut at %d: other bytes", extension, at)
			}
		}
	}
}

// What is kept has to be right: a byte that changed, wherever, is written again,
// and so is what an older plan had in other places.
func TestResumeTrustsNothing(t *testing.T) {
	s := newSample(t)
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		whole := s.bytes(t, extension)
		offsets := ends(t, s, extension)
		for i, begin := range offsets[:len(offsets)-1] {
			for _, at := range []int64{0, 17, (offsets[i+1] - begin) / 2} {
				part := bytes.Clone(whole)
				part[begin+at] ^= 0x10
				path := filepath.Join(t.TempDir(), "a"+extension)
				if err := os.WriteFile(path+".part", part, 0o666); err != nil {
					t.Fatal(err)
				}
				s.resume(t, path)
				s.checkWhole(t, open(t, path))
				// Compressed data may change and still mean the same.
				if extension == ".tar" && !bytes.Equal(whole, read(t, path)) {
					t.Errorf("byte %d of entry %d changed: other bytes", at, i)
				}
			}
		}
		other := &sample{blobs: s.blobs, index: s.index, plan: slices.Clone(s.plan)}
		slices.Reverse(other.plan[3:])
		resumeFrom(t, s, extension, other.bytes(t, extension), whole)
		resumeFrom(t, s, extension, []byte("no archive at all"), whole)
		resumeFrom(t, s, extension, bytes.Repeat(whole[:offsets[1]], 3), whole)
	}
}

func resumeFrom(t *testing.T, s *sample, extension string, part, want []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a"+extension)
	if err := os.WriteFile(path+".part", part, 0o666); err != nil {
		t.Fatal(err)
	}
	s.resume(t, path)
	if !bytes.Equal(want, read(t, path)) {
		t.Errorf("%s: other bytes after resuming", extension)
	}
}

func TestResumeIsCancelled(t *testing.T) {
	s := newSample(t)
	path := filepath.Join(t.TempDir(), "a.tar")
	part := s.bytes(t, ".tar")
	if err := os.WriteFile(path+".part", part, 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Create(ctx, path, s.plan); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if !bytes.Equal(part, read(t, path+".part")) {
		t.Error("a cancelled run has cut off what was there")
	}
}

const childFile = "SLIPWAY_TEST_ARCHIVE"

// drip gives its data slowly, so that there is time to be killed.
type drip struct{ io.Reader }

func (d drip) Read(p []byte) (int, error) {
	time.Sleep(200 * time.Microsecond)
	return d.Reader.Read(p[:min(len(p), 4096)])
}

// A writer that is killed, for real and wherever it may be.
func TestResumeAfterKill(t *testing.T) {
	s := newSample(t)
	for i := range uint64(8) {
		s.add("application/octet-stream", noise(i, 80_000))
	}
	if path := os.Getenv(childFile); path != "" {
		w, err := Create(t.Context(), path, s.plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, desc := range s.plan {
			err := w.Add(t.Context(), desc, func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(drip{bytes.NewReader(s.blobs[desc.Digest])}), nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return // without a commit: the parent may be late
	}
	for _, extension := range []string{".tar", ".tar.gz", ".tar.zst"} {
		path := filepath.Join(t.TempDir(), "a"+extension)
		whole := s.bytes(t, extension)
		for i := range 5 {
			killAt(t, path, int64(len(whole)*(i+1)/6))
		}
		if opened := s.resume(t, path); opened == len(s.plan) {
			t.Errorf("%s: nothing was kept", extension)
		}
		if !bytes.Equal(whole, read(t, path)) {
			t.Errorf("%s: other bytes after kills", extension)
		}
	}
}

// killAt runs the test in a process of its own until the .part has that many bytes.
func killAt(t *testing.T, path string, size int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestResumeAfterKill$")
	cmd.Env = append(os.Environ(), childFile+"="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if info, err := os.Stat(path + ".part"); err == nil && info.Size() >= size {
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			<-ended
			return
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// A run that finds all blobs there only has to finish.
func TestResumeAllThere(t *testing.T) {
	s := newSample(t)
	path := filepath.Join(t.TempDir(), "a.tar.zst")
	w, err := Create(t.Context(), path, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, desc := range s.plan {
		if err := w.Add(t.Context(), desc, s.open(desc.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish([]byte("{}")); err != nil { // killed before the rename
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, err = Create(t.Context(), path, s.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, desc := range s.plan {
		if err := w.Add(t.Context(), desc, func(context.Context) (io.ReadCloser, error) { return nil, fmt.Errorf("opened") }); err != nil {
			t.Error(err)
		}
	}
	if err := w.Commit(t.Context(), s.index); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.bytes(t, ".tar.zst"), read(t, path)) {
		t.Error("other bytes")
	}
}
