package pipeline

import (
	"context"
	"errors"

	"slipway/engine"
)

// Build makes every chosen image, under its key tag only.
func Build(ctx context.Context, o Options) (_ *Report, err error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var goals []*engine.Node
	for _, image := range r.plan.Images {
		goals = append(goals, r.image(image))
	}
	report, err := r.execute(ctx, goals)
	for _, image := range r.plan.Images {
		report.Published = append(report.Published, r.repo.Reference().WithTag(image.Key.String()).String())
	}
	return report, err
}
