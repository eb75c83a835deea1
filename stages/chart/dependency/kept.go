package dependency

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/stages/chart"

	digest "github.com/opencontainers/go-digest"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// What is kept:
//
//	sha256/DIGEST    an archive
//	refs/DIGEST      the digest of an archive, by that of its repository, name and version
//
// Files appear by renaming and never change, so any number of processes may use
// the directory at once. Nothing of it is trusted: an archive that has not the
// digest of its name is fetched again.

// kept is the archive of a version, if it was fetched before.
func (f *Fetcher) kept(d chart.Dependency, version string) ([]byte, bool) {
	text, err := os.ReadFile(f.ref(d, version))
	if err != nil {
		return nil, false
	}
	want, err := digest.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, false
	}
	data, err := os.ReadFile(f.blob(want))
	return data, err == nil && digest.FromBytes(data) == want
}

// keep keeps an archive for the next time.
func (f *Fetcher) keep(d chart.Dependency, version string, data []byte) error {
	is := digest.FromBytes(data)
	err := write(f.blob(is), data)
	if err == nil {
		err = write(f.ref(d, version), []byte(is.String()+"\n"))
	}
	if err != nil {
		return fmt.Errorf("keeping the chart %s %s: %w", d.Name, version, err)
	}
	return nil
}

func (f *Fetcher) blob(is digest.Digest) string { return filepath.Join(f.Dir, "sha256", is.Encoded()) }

func (f *Fetcher) ref(d chart.Dependency, version string) string {
	return filepath.Join(f.Dir, "refs", digest.FromString(d.Repository+"\n"+d.Name+"\n"+version).Encoded())
}

// write makes a file appear with all its content.
func write(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // does nothing once it is renamed
	_, err = file.Write(data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// check refuses what is not the chart that was asked for.
func check(data []byte, d chart.Dependency, version string) error {
	c, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("what %s has as %s %s is no chart: %w", d.Repository, d.Name, version, err)
	}
	if c.Name() != d.Name || strings.TrimPrefix(c.Metadata.Version, "v") != strings.TrimPrefix(version, "v") {
		return fmt.Errorf("what %s has as %s %s is %s %s", d.Repository, d.Name, version, c.Name(), c.Metadata.Version)
	}
	return nil
}
