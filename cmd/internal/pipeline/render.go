package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"slipway/cmd/internal/bundles"
	"slipway/engine"
	"slipway/stages"
	"slipway/stages/chart"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// RenderOptions are what render takes beside Options.
type RenderOptions struct {
	// Stub makes images up instead of looking for them and building them: no
	// registry is asked.
	Stub bool
	// Given are values over those of the chart, as for bundle publish.
	Given ValuesOptions
	bundles.ManifestOptions
}

// Render renders the project's chart as bundle publish would package it, images
// included. With stubs there is no report, as nothing is run.
func Render(ctx context.Context, o Options, m RenderOptions) (_ *bundles.Manifests, _ *Report, err error) {
	o.Project.FinalOnly, o.Project.ReadsChart, o.Project.NamesOnly = true, true, m.Stub
	o.Project.Beside = PublishOptions{Values: m.Given}.beside
	r, err := open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if m.Release, m.Namespace, err = releaseOf(r.plan, o.Project.Env, m.Release, m.Namespace); err != nil {
		return nil, nil, err
	}
	b := &bundle{run: r, repo: r.repo, images: r.plan.Images}
	if r.final != nil {
		b.repo = r.final
	}
	if b.files, err = r.loadChart(ctx, m.Given, false); err != nil {
		return nil, nil, err
	}
	if b.options, err = b.chartOptions(ctx, PublishOptions{}); err != nil {
		return nil, nil, err
	}
	b.options.Version, b.options.ChartName = "", "" // those of Chart.yaml
	if m.Stub {
		pkg, err := b.stub(o.Repo)
		if err != nil {
			return nil, nil, err
		}
		manifests, err := r.renderPackage(ctx, pkg, m)
		return manifests, nil, err
	}
	var images []stages.Image
	collect := &engine.Node{ID: "images", Stage: action(func(needs []engine.Result) error {
		for _, need := range needs {
			image, ok := need.(stages.Image)
			if !ok {
				return fmt.Errorf("%T is no image", need)
			}
			images = append(images, image)
		}
		return nil
	})}
	for _, image := range r.plan.Images {
		collect.Needs = append(collect.Needs, b.usable(image))
	}
	report, err := r.execute(ctx, []*engine.Node{collect})
	if err != nil {
		return nil, report, err
	}
	pkg, err := b.pack(images)
	if err != nil {
		return nil, report, err
	}
	manifests, err := r.renderPackage(ctx, pkg, m)
	return manifests, report, err
}

// action is a stage that only does something.
type action func(needs []engine.Result) error

func (action) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

func (a action) Run(_ context.Context, needs []engine.Result) (engine.Result, error) {
	return nil, a(needs)
}

// stub packs the chart with images that are made up.
func (b *bundle) stub(repo string) (*chart.Package, error) {
	o := b.options
	if o.Stub = true; repo == "" {
		o.Repo = "REPO"
	}
	for _, image := range b.images {
		o.Images = append(o.Images, chart.StubImage(image.Name, o.Repo))
	}
	pkg, err := b.files.Package(o)
	return pkg, diagnosed(err)
}

// renderPackage renders what would be published. Its service values win over what
// the user sets.
func (r *run) renderPackage(ctx context.Context, pkg *chart.Package, m RenderOptions) (*bundles.Manifests, error) {
	c, err := loader.LoadArchive(bytes.NewReader(pkg.Archive))
	if err != nil {
		return nil, err
	}
	m.Dir, m.Renderer = r.plan.Chart.Dir, r.options.Renderer
	m.Service = map[string]any{"werf": c.Values["werf"]}
	if global, ok := c.Values["global"].(map[string]any); ok {
		own := map[string]any{}
		for _, key := range []string{"werf", "env"} {
			if global[key] != nil {
				own[key] = global[key]
			}
		}
		m.Service["global"] = own
	}
	return bundles.RenderChart(ctx, c, m.ManifestOptions)
}
