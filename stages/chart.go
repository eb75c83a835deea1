package stages

import (
	"context"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages/chart"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ChartStage packages a chart that names the images it needs and keeps it under
// its key tag.
type ChartStage struct {
	keyed
	pack func(images []Image) (*chart.Package, error)
}

// NewChart makes the stage that packages a chart into repo. pack gets the images
// in the order of the node's needs.
func NewChart(repo oci.Repository, key engine.Key, pack func([]Image) (*chart.Package, error)) *ChartStage {
	return &ChartStage{keyed: keyed{Repo: repo, Key: key}, pack: pack}
}

// Run packages and pushes the chart; its images are there already.
func (s *ChartStage) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	images := make([]Image, len(needs))
	for i := range needs {
		image, err := only(needs[i:])
		if err != nil {
			return nil, err
		}
		images[i] = image
	}
	pkg, err := s.pack(images)
	if err != nil {
		return nil, err
	}
	manifest, blobs := oci.ChartManifest(pkg.Config, pkg.Archive, pkg.Annotations)
	desc, err := oci.Pack(ctx, s.Repo, ocispec.MediaTypeImageManifest, manifest, blobs...)
	if err != nil {
		return nil, err
	}
	return s.claim(ctx, desc)
}
