package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"strings"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"
	"slipway/stages/chart"
	"slipway/stages/chart/dependency"
)

// PublishOptions are what bundle publish takes beside Options.
type PublishOptions struct {
	Tag    string
	Values ValuesOptions
	// NoSchema publishes values that do not match the chart's values.schema.json.
	NoSchema bool
	// AllFiles publishes every file of the chart's directory.
	AllFiles bool
	// Annotations and Labels are for every resource that is installed.
	Annotations, Labels map[string]string
	// Rename is the chart's name. Without it, it is the last component of the
	// repository, by which Helm finds it there; with KeepName it is the chart's own.
	Rename   string
	KeepName bool
	// CustomTags are templates of further tags for each image, see expandTag; by
	// UseTag, if it is one, the chart names the images.
	CustomTags []string
	UseTag     string
}

// Publish makes the project's chart with the images it names and publishes it as
// REPO:TAG. The tag moves when chart and images are there.
func Publish(ctx context.Context, o Options, p PublishOptions) (_ *Report, err error) {
	o.Project.ReadsChart, o.Project.Beside, o.Project.CustomTags = true, p.beside, p.UseTag != ""
	if !oci.IsTag(p.Tag) {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("--tag %q is not a tag", p.Tag), Advice: "a tag has up to 128 of A-Z a-z 0-9 _ . - and begins with none of the last two"}
	}
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	b := &bundle{run: r, images: r.plan.Images, repo: r.repo, useTag: p.UseTag}
	if r.final != nil {
		b.repo = r.final
	}
	ref := b.repo.Reference().WithTag(p.Tag)
	if err := r.checkAlias("--tag", b.repo, p.Tag); err != nil {
		return nil, err
	}
	tags, err := b.tags(p, ref)
	if err != nil {
		return nil, err
	}
	if b.files, err = r.loadChart(ctx, p.Values, p.AllFiles); err != nil {
		return nil, err
	}
	if b.options, err = b.chartOptions(ctx, p); err != nil {
		return nil, err
	}
	if err := b.check(ctx, !p.NoSchema); err != nil {
		return nil, err
	}
	alias := r.alias(b.node(ref), b.repo, b.repo, ref)
	// The chart may name the images by these tags, so they move before its own.
	alias.Needs = append(alias.Needs, r.aliases(tags)...)
	report, err := r.execute(ctx, []*engine.Node{alias})
	report.Published = []string{ref.String()}
	for _, t := range tags {
		report.Published = append(report.Published, t.ref.String())
	}
	return report, err
}

// beside is what the chart is made of beside its directory.
func (p PublishOptions) beside(plan *planner.Plan) ([]string, error) {
	paths, err := p.Values.paths(plan)
	return append(paths, chart.Beside(plan.Chart.Files, plan.Chart.Dir)...), err
}

// loadChart reads the project's chart.
func (r *run) loadChart(ctx context.Context, v ValuesOptions, allFiles bool) (*chart.Source, error) {
	values, err := v.read(r.plan)
	if err != nil {
		return nil, err
	}
	s, err := chart.Load(ctx, r.plan.Chart.Files, r.plan.Chart.Dir, chart.LoadOptions{
		Values: values, AllFiles: allFiles, Fetcher: &dependency.Fetcher{Session: r.session, Dir: filepath.Join(r.options.StateDir, "charts")},
	})
	return s, diagnosed(err)
}

// diagnosed turns what the chart package says of the user's files into the
// diagnostic that it is.
func diagnosed(err error) error {
	var e *chart.Error
	if !errors.As(err, &e) {
		return err
	}
	return &diag.Diagnostic{File: e.File, Line: e.Line, Source: e.Source, Message: e.Message, Advice: e.Advice}
}

// bundle is a chart on its way to being published.
type bundle struct {
	*run
	repo    oci.Repository // of the bundle
	files   *chart.Source
	images  []*planner.Image
	useTag  string
	options chart.Options // all but the images
}

func (b *bundle) chartOptions(ctx context.Context, p PublishOptions) (chart.Options, error) {
	ref := b.repo.Reference()
	o := chart.Options{
		Project: b.plan.Project, Version: chart.VersionForTag(p.Tag), AppVersion: b.plan.Chart.AppVersion,
		Repo: b.nameOf(b.repo), Env: b.run.options.Project.Env, ChartName: p.Rename, Labels: p.Labels,
		Annotations: map[string]string{"project.werf.io/name": b.plan.Project},
	}
	maps.Copy(o.Annotations, p.Annotations)
	if o.Env != "" {
		o.Annotations["project.werf.io/env"] = o.Env
	}
	if o.ChartName == "" && !p.KeepName && !ref.IsLayout() {
		o.ChartName = path.Base(ref.Repository)
	}
	if b.files.MentionsCommit() {
		commit, err := b.plan.Source.Commit(ctx)
		if err != nil {
			return o, err
		}
		o.Commit = &chart.Commit{Hash: commit.Hash, Date: time.Unix(commit.Unix, 0)}
	}
	return o, nil
}

// tags are the custom tags of the bundle's images. None of them may be the
// bundle's.
func (b *bundle) tags(p PublishOptions, bundle oci.Reference) ([]target, error) {
	taken := map[string]string{bundle.String(): "the bundle"}
	tags, err := b.customTags("--add-custom-tag", p.CustomTags, b.images, taken)
	if err != nil || p.UseTag == "" {
		return tags, err
	}
	used, err := b.customTags("--use-custom-tag", []string{p.UseTag}, b.images, taken)
	return append(tags, used...), err
}

// nameOf is how the chart names a repository of its images.
func (b *bundle) nameOf(repo oci.Repository) string {
	ref := repo.Reference()
	if ref.IsLayout() {
		ref = localReference(b.plan.Project)
	}
	return ref.Name()
}

// localReference names images that are in a layout: where the layout is must not
// show in what is published, and no cluster could pull from it.
func localReference(project string) oci.Reference {
	return oci.Reference{Registry: "localhost", Repository: project}
}

// node is the chart stage. It needs every image, found or built.
func (b *bundle) node(ref oci.Reference) *engine.Node {
	needs := make([]*engine.Node, len(b.images))
	for i, image := range b.images {
		needs[i] = b.usable(image)
	}
	return &engine.Node{ID: "chart " + ref.String(), Kind: "chart", Needs: needs, Stage: stages.NewChart(b.repo, func(ctx context.Context, images []stages.Image) (*chart.Package, error) {
		for _, note := range b.notes() {
			engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: note})
		}
		return b.pack(images)
	})}
}

// check makes the archive before anything is built, with a stand-in for the one
// thing that is not known yet, the images' digests: what is wrong with the chart
// or its values is told before anything is pushed.
func (b *bundle) check(ctx context.Context, schema bool) error {
	images := make([]stages.Image, len(b.images))
	for i, image := range b.images {
		images[i] = stages.Image{Tag: image.Key.String()}
		images[i].Desc.Digest = standInDigest
	}
	pkg, err := b.pack(images)
	if err == nil && schema {
		err = diagnosed(b.files.Validate(ctx, b.run.options.Renderer, pkg))
	}
	return err
}

const standInDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// notes are what people should know of the chart that is published.
func (b *bundle) notes() (notes []string) {
	for _, d := range b.files.Floating() {
		notes = append(notes, "the dependency floats; helm dependency update pins it in Chart.lock: "+d)
	}
	if left := b.files.LeftOut(); len(left) > 0 {
		const most = 5
		more := ""
		if len(left) > most {
			left, more = left[:most], fmt.Sprintf(" and %d more", len(left)-most)
		}
		notes = append(notes, "not published with the chart: "+strings.Join(left, ", ")+more+"; --bundle-schema-nonstrict publishes all files")
	}
	if why := b.files.NeedsSecrets(); why != "" {
		notes = append(notes, "only an installer that has the project's key can install this bundle: "+why)
	}
	return notes
}

// pack makes the archive, now that the images' digests are known.
func (b *bundle) pack(images []stages.Image) (*chart.Package, error) {
	o := b.options
	for i, image := range images {
		tag := image.Tag
		if b.useTag != "" {
			tag = expandTag(b.useTag, b.images[i])
		}
		o.Images = append(o.Images, chart.Image{
			Name: b.images[i].Name, Repo: b.nameOf(b.usedFrom(b.images[i])), Tag: tag, Digest: image.Desc.Digest.String(),
		})
	}
	pkg, err := b.files.Package(o)
	return pkg, diagnosed(err)
}
