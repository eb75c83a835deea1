package giterminism

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// seed is an index file to copy. Its time is part of it: git compares a file's
// content when the file is not older than the index, and a copy with a later
// time would hide changes of the moment in which the original was written.
type seed struct {
	data []byte
	time time.Time
}

// readSeed is nil when there is no such file.
func readSeed(name string) (*seed, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // git replaces the file, never writes into it
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return &seed{data, info.ModTime()}, err
}

func (s *seed) write(name string) error {
	if err := os.WriteFile(name, s.data, 0o600); err != nil {
		return err
	}
	return os.Chtimes(name, s.time, s.time)
}

// id names the seed and what else decides what grows from it.
func (s *seed) id(others []string) string {
	h := sha256.New()
	if s != nil {
		fmt.Fprintf(h, "%d ", s.time.UnixNano())
		h.Write(s.data)
	}
	for _, other := range others {
		fmt.Fprintf(h, "%q", other)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// keepObjects is how long an object is kept after a run last wanted to write it.
// Runs that are still reading are younger than that.
const keepObjects = 48 * time.Hour

// sweep removes what other seeds left: their indexes, copies of killed runs, and
// objects. The run that calls it has just written, or touched, each object that
// it needs. Failures are the next run's business.
func sweep(private, kept string, now time.Time) {
	private = QuoteGlob(private)
	indexes, _ := filepath.Glob(private + "index-*")
	for _, name := range indexes {
		if name != kept {
			os.Remove(name)
		}
	}
	// A copy has its day in its name, for its time is that of the original.
	copies, _ := filepath.Glob(private + "work-*")
	for _, name := range copies {
		if !strings.Contains(name, "work-"+day(now)) && !strings.Contains(name, "work-"+day(now.Add(-24*time.Hour))) {
			os.Remove(name)
		}
	}
	// Two characters and then more: loose objects, not packs.
	loose, _ := filepath.Glob(private + "objects/??/*")
	for _, name := range loose {
		info, err := os.Lstat(name)
		if err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > keepObjects {
			os.Remove(name)
		}
	}
}

// alternates lets git read the objects in dir, beside those that the user's own
// environment names.
func alternates(dir string) string {
	const name = "GIT_ALTERNATE_OBJECT_DIRECTORIES"
	if strings.ContainsRune(dir, os.PathListSeparator) || strings.HasPrefix(dir, `"`) {
		dir = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`
	}
	if others := os.Getenv(name); others != "" {
		dir += string(os.PathListSeparator) + others
	}
	return name + "=" + dir
}
