package bundles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"slipway/oci"
	"slipway/planner/diag"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"sigs.k8s.io/yaml"
)

// Contents tells what a bundle is and what it weighs. Sizes are bytes as stored.
type Contents struct {
	Ref        string         `json:"ref"`
	Digest     string         `json:"digest,omitempty"` // of the chart's manifest
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	AppVersion string         `json:"appVersion,omitempty"`
	Values     map[string]any `json:"values"`
	Images     []ImageInfo    `json:"images"`
	// Size is everything, the chart included, counted once; Shared is what more
	// than one image would count.
	Size   int64 `json:"size"`
	Shared int64 `json:"shared"`
}

// ImageInfo is an image of a bundle.
type ImageInfo struct {
	Kind      string         `json:"kind"`
	Name      string         `json:"name"`
	Chart     string         `json:"chart,omitempty"` // the sub-chart that names it
	Ref       string         `json:"ref"`
	Digest    string         `json:"digest,omitempty"`
	Size      int64          `json:"size"` // of all platforms
	Platforms []PlatformInfo `json:"platforms,omitempty"`
	Error     string         `json:"error,omitempty"` // it cannot be found
}

// PlatformInfo is an image for one platform.
type PlatformInfo struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	Size     int64  `json:"size"`
}

// openBundle opens what a user names.
func openBundle(ctx context.Context, ref string, registry oci.Options) (address, origin, error) {
	at, err := parseAddress("the bundle", ref)
	if err != nil {
		return at, nil, err
	}
	session, err := oci.NewSession(registry)
	if err != nil {
		return at, nil, &diag.Diagnostic{Message: err.Error()}
	}
	from, err := open(ctx, session, at)
	return at, from, err
}

// Inspect reads a bundle: its chart and the manifests of its images, no blobs.
func Inspect(ctx context.Context, ref string, registry oci.Options) (_ *Contents, err error) {
	at, from, err := openBundle(ctx, ref, registry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c, err := read(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", at, err)
	}
	out := &Contents{
		Ref: at.String(), Name: c.Metadata.Name, Version: c.Metadata.Version, AppVersion: c.Metadata.AppVersion,
		Values: map[string]any{}, Images: []ImageInfo{},
	}
	if err := yaml.Unmarshal(c.Values(), &out.Values); err != nil {
		return nil, fmt.Errorf("reading the values of %s: %w", at, err)
	}
	users := map[digest.Digest]int{} // how many images count it
	sizes := map[digest.Digest]int64{}
	if c.ReadOnlyStorage != nil {
		out.Digest = c.desc.Digest.String()
		if err := weigh(ctx, c.located, users, sizes); err != nil {
			return nil, err
		}
	}
	counted := map[digest.Digest]bool{}
	for _, f := range c.images {
		info := ImageInfo{Kind: string(f.Kind), Name: f.Name, Chart: f.Chart, Ref: f.Ref.String()}
		if f.err != nil {
			info.Error = f.err.Error()
			out.Images = append(out.Images, info)
			continue
		}
		if err := info.read(ctx, f.located); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(f.Image), err)
		}
		if !counted[f.desc.Digest] {
			counted[f.desc.Digest] = true
			if err := weigh(ctx, f.located, users, sizes); err != nil {
				return nil, err
			}
		}
		out.Images = append(out.Images, info)
	}
	for d, size := range sizes {
		out.Size += size
		if users[d] > 1 {
			out.Shared += size
		}
	}
	return out, nil
}

// weigh adds everything below an image, itself included.
func weigh(ctx context.Context, image located, users map[digest.Digest]int, sizes map[digest.Digest]int64) error {
	return oci.Walk(ctx, image, image.desc, map[digest.Digest]bool{}, func(d ocispec.Descriptor) error {
		users[d.Digest]++
		sizes[d.Digest] = d.Size
		return nil
	})
}

func (info *ImageInfo) read(ctx context.Context, image located) error {
	size := func(desc ocispec.Descriptor) (total int64, err error) {
		err = oci.Walk(ctx, image, desc, map[digest.Digest]bool{}, func(d ocispec.Descriptor) error {
			total += d.Size
			return nil
		})
		return total, err
	}
	info.Digest = image.desc.Digest.String()
	var err error
	if info.Size, err = size(image.desc); err != nil {
		return err
	}
	children := []ocispec.Descriptor{image.desc}
	if oci.IsIndex(image.desc) {
		var index ocispec.Index
		raw, err := content.FetchAll(ctx, image, image.desc)
		if err == nil {
			err = json.Unmarshal(raw, &index)
		}
		if err != nil {
			return fmt.Errorf("reading the index %s: %w", image.desc.Digest, err)
		}
		children = index.Manifests
	}
	for _, child := range children {
		platform, err := platformOf(ctx, image, child)
		if err != nil {
			return err
		}
		if platform == "" {
			continue
		}
		p := PlatformInfo{Platform: platform, Digest: child.Digest.String()}
		if p.Size, err = size(child); err != nil {
			return err
		}
		info.Platforms = append(info.Platforms, p)
	}
	return nil
}

// platformOf is an image's platform, as its index or else its config says it; ""
// for what is no image, as attestations.
func platformOf(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor) (string, error) {
	if desc.Platform != nil {
		if desc.Platform.OS == "unknown" {
			return "", nil
		}
		return platforms.FormatAll(*desc.Platform), nil
	}
	var manifest ocispec.Manifest
	raw, err := content.FetchAll(ctx, from, desc)
	if err == nil {
		err = json.Unmarshal(raw, &manifest)
	}
	if err != nil {
		return "", fmt.Errorf("reading the manifest %s: %w", desc.Digest, err)
	}
	var config ocispec.Image
	if raw, err = fetchSmall(ctx, from, manifest.Config, 4<<20); err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		return "", fmt.Errorf("reading the config of %s: %w", desc.Digest, err)
	}
	if config.OS == "" {
		return "", nil
	}
	return platforms.FormatAll(platforms.Normalize(config.Platform)), nil
}
