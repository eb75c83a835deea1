package pipeline

import (
	"context"
	"errors"
)

// BuildOptions are what build takes beside Options.
type BuildOptions struct {
	CustomTags []string // templates of further tags for each image, see expandTag
}

// Build makes every chosen image, under its key tag and the custom tags.
func Build(ctx context.Context, o Options, b BuildOptions) (_ *Report, err error) {
	o.ahead = len(b.CustomTags) == 0
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	tags, err := r.customTags("--add-custom-tag", b.CustomTags, r.plan.Images, map[string]string{})
	if err != nil {
		return nil, err
	}
	goals := r.aliases(tags)
	for _, image := range r.plan.Images {
		goals = append(goals, r.usable(image))
	}
	report, err := r.execute(ctx, goals)
	for _, image := range r.plan.Images {
		report.Published = append(report.Published, r.usedFrom(image).Reference().WithTag(image.Key.String()).String())
	}
	for _, t := range tags {
		report.Published = append(report.Published, t.ref.String())
	}
	return report, err
}
