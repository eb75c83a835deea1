package stages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"slipway/engine"
	"slipway/oci"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The form of a plan record; docs/plan.md is its specification.
const (
	recordVersion = 1
	recordType    = "application/vnd.slipway.plan.v1"
	keyAnnotation = "slipway/key"
)

// recordTag is the tag of the record of a set of keys, which are sorted.
func recordTag(keys []engine.Key, trace io.Writer) string {
	w := engine.NewKeyWriter("plan", recordVersion, trace)
	for _, key := range keys {
		w.Field("image", key.String())
	}
	return "plan-" + w.Sum().String()
}

var recordTags = regexp.MustCompile("^plan-[0-9a-f]{64}$")

// IsRecordTag tells whether a tag has the shape of a plan record's.
func IsRecordTag(tag string) bool { return recordTags.MatchString(tag) }

// writeRecord is the record of what the keys stand for. Without any it is a record
// that has been withdrawn.
func writeRecord(keys []engine.Key, descs []ocispec.Descriptor) ([]byte, error) {
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, ArtifactType: recordType,
		Manifests: []ocispec.Descriptor{},
	}
	for i, desc := range descs {
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size, Annotations: map[string]string{keyAnnotation: keys[i].String()},
		})
	}
	return json.Marshal(index)
}

// readRecord is what the keys stand for, in their order. A record that is not, to
// the byte, what writeRecord makes was written by somebody else.
func readRecord(raw []byte, keys []engine.Key) ([]ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	switch n := len(index.Manifests); {
	case index.ArtifactType != recordType:
		return nil, fmt.Errorf("its type is %q, not %s", index.ArtifactType, recordType)
	case n == 0:
		return nil, errors.New("it was withdrawn, since an image in it was gone")
	case n != len(keys):
		return nil, fmt.Errorf("it has %d images, and the plan has %d", n, len(keys))
	}
	descs := make([]ocispec.Descriptor, len(keys))
	for i, entry := range index.Manifests {
		if err := entry.Digest.Validate(); err != nil || !oci.IsManifest(entry) || entry.Size <= 0 {
			return nil, fmt.Errorf("its entry %d is no image", i+1)
		}
		descs[i] = ocispec.Descriptor{MediaType: entry.MediaType, Digest: entry.Digest, Size: entry.Size}
	}
	if want, err := writeRecord(keys, descs); err != nil || !bytes.Equal(raw, want) {
		return nil, errors.New("it is not written as Slipway writes it")
	}
	return descs, nil
}
