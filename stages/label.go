package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"slipway/engine"
	"slipway/oci"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Label adds labels to an image's config and keeps the result under a key tag of
// its own. Layers are not touched.
type Label struct {
	keyed
	labels map[string]string
}

// NewLabel makes the stage that adds labels to the image whose key is given.
func NewLabel(repo oci.Repository, image engine.Key, labels map[string]string) *Label {
	w := engine.NewKeyWriter("label", 1, nil)
	w.Field("image", image.String())
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		w.Field("label", name+"="+labels[name])
	}
	return &Label{keyed: keyed{Repo: repo, Key: w.Sum()}, labels: labels}
}

// Run writes the new config and manifest.
func (s *Label) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	image, err := only(needs)
	if err != nil {
		return nil, err
	}
	manifest, config, _, err := oci.ReadImage(ctx, s.Repo, image.Desc)
	if err != nil {
		return nil, err
	}
	config, err = addLabels(config, s.labels)
	if err != nil {
		return nil, fmt.Errorf("adding labels to %s: %w", image.Ref(), err)
	}
	manifest.Config = ocispec.Descriptor{MediaType: manifest.Config.MediaType, Digest: digest.FromBytes(config), Size: int64(len(config))}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	desc, err := oci.Pack(ctx, s.Repo, image.Desc.MediaType, raw, oci.Blob{Descriptor: manifest.Config, Data: config})
	if err != nil {
		return nil, err
	}
	return s.claim(ctx, desc)
}

// addLabels edits config.Labels and leaves every other field, known or not, as
// it is.
func addLabels(config []byte, labels map[string]string) ([]byte, error) {
	var image map[string]json.RawMessage
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, err
	}
	if image == nil {
		return nil, errors.New("its config is null")
	}
	inner := map[string]json.RawMessage{}
	if raw, ok := image["config"]; ok && string(raw) != "null" {
		if err := json.Unmarshal(raw, &inner); err != nil {
			return nil, err
		}
	}
	all := map[string]string{}
	if raw, ok := inner["Labels"]; ok {
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, err
		}
	}
	if all == nil { // "Labels": null
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	var err error
	if inner["Labels"], err = json.Marshal(all); err != nil {
		return nil, err
	}
	if image["config"], err = json.Marshal(inner); err != nil {
		return nil, err
	}
	return json.Marshal(image)
}
