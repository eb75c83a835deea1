package stages

import (
	"context"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages/chart"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ChartStage packages a chart that names the images it needs. It has no key that
// is known before: the archive is cheap to make and a function of its content, so
// it is made in every run, and the tag that keeps it is its manifest's digest.
type ChartStage struct {
	repo oci.Repository
	pack func(ctx context.Context, images []Image) (*chart.Package, error)
}

// NewChart makes the stage that packages a chart into repo. pack gets the images
// in the order of the node's needs.
func NewChart(repo oci.Repository, pack func(context.Context, []Image) (*chart.Package, error)) *ChartStage {
	return &ChartStage{repo: repo, pack: pack}
}

// Find has nothing to go by: the chart holds its images' digests.
func (s *ChartStage) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run packages the chart and pushes it if the repository lacks it, which costs
// one request to find out; its images are there already.
func (s *ChartStage) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	images, err := all(needs)
	if err != nil {
		return nil, err
	}
	pkg, err := s.pack(ctx, images)
	if err != nil {
		return nil, err
	}
	manifest, blobs := oci.ChartManifest(pkg.Config, pkg.Archive, pkg.Annotations)
	want := oci.NewBlob(ocispec.MediaTypeImageManifest, manifest).Descriptor
	tag := want.Digest.Encoded()
	desc, found, err := oci.Lookup(ctx, s.repo, tag)
	if err != nil {
		return nil, err
	}
	image := Image{Repo: s.repo.Reference(), Tag: tag, found: found}
	for _, i := range images {
		image.unasked = append(image.unasked, i.unasked...)
	}
	if !found {
		if err := image.Confirm(ctx); err != nil {
			return nil, err
		}
		image.unasked = nil
		if desc, err = oci.Pack(ctx, s.repo, want.MediaType, manifest, blobs...); err != nil {
			return nil, err
		}
		if desc, err = oci.Claim(ctx, s.repo, desc, tag); err != nil {
			return nil, err
		}
	}
	image.Desc = desc
	return image, nil
}
