// Package archive keeps an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md) in
// one tar file, plain or compressed with gzip or zstd: a [Writer] streams blobs
// into it, deterministically, and continues a run that was cut off; a [Reader]
// reads blobs from anywhere in it, several at a time, and also understands
// archives of other tools and those that werf writes.
//
// It must never know what a blob is for, what a bundle is, or where blobs come
// from and go to.
package archive

import (
	"archive/tar"
	"bytes"
	_ "crypto/sha256" // the algorithms that digests may have
	_ "crypto/sha512"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway/oci"
)

// Bounds of what is held in memory.
const (
	maxManifestSize = 4 << 20   // as in package oci
	maxIndexSize    = 64 << 20  // index.json: a quarter of a million tags
	maxChartSize    = 100 << 20 // Helm's own bound for a chart
)

// entryTime is the modification time of every entry, 1980-01-02T00:00:00Z, as
// of everything that Slipway packs.
const entryTime = 315619200

// layoutFile is the content of oci-layout.
var layoutFile, _ = json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}) // a string always marshals

// blobName is where a layout has a blob.
func blobName(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// header is the header block of a file, or of a directory if the name ends with a
// slash: name and size are all that differs between entries of a kind. (There are
// more blocks where a name or size does not fit.)
func header(name string, size int64) ([]byte, error) {
	hdr := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(entryTime, 0)}
	if strings.HasSuffix(name, "/") {
		hdr.Typeflag, hdr.Mode = tar.TypeDir, 0o755
	}
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&hdr)
	return b.Bytes(), err
}

// padding is how many zero bytes follow an entry's content.
func padding(size int64) int64 { return -size & 511 }

func fail(op, what string, err error) error {
	if err == nil {
		return nil
	}
	return &oci.Error{Op: op, Ref: what, Err: err}
}
