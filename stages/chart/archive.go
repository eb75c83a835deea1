package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"path"
	"time"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// archiveTime is the modification time of every file in an archive,
// 1980-01-02T00:00:00Z: the first day that zip files, too, can tell in every
// time zone.
const archiveTime = 315619200

// WriteArchive packs files, in their order, under the directory name. Nothing
// but names and contents enters the archive: one mode, no owner, one time, and
// a gzip header without name, time or operating system. (The compressed bytes
// are those of this Go release's compress/flate.)
func WriteArchive(name string, files []*loader.BufferedFile) ([]byte, error) {
	var b bytes.Buffer
	gz, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(gz)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     path.Join(name, f.Name),
			Mode:     0o644,
			Size:     int64(len(f.Data)),
			ModTime:  time.Unix(archiveTime, 0),
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if _, err := t.Write(f.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := gz.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
