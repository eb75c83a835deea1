// Package bundles holds the verbs that work on published bundles, with no
// project: copy, inspect, verify, render.
//
// It must never know flags or environment variables, nor how a bundle is made of
// a project: that is the pipeline's.
package bundles

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway/stages/bundle"
	"slipway/stages/chart/render"

	"golang.org/x/sync/errgroup"
)

// lookups is how many images are looked up at a time.
const lookups = 16

// contents is a bundle with everything that it names found.
type contents struct {
	published
	*bundle.Bundle
	images []found // in the order of Bundle.Images, then external ones
}

// found is an image of a bundle and where it is.
type found struct {
	bundle.Image
	located
	err error // it is not where the chart says
	new bool  // external, and not recorded in the chart yet
}

// read finds a bundle with its images. What is missing is in the images' errors.
func read(ctx context.Context, from origin) (*contents, error) {
	chart, err := from.chart(ctx)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Read(chart.archive)
	if err != nil {
		return nil, err
	}
	c := &contents{published: chart, Bundle: b}
	for _, image := range b.Images() {
		c.images = append(c.images, found{Image: image})
	}
	return c, c.locate(ctx, from, c.images)
}

// locate looks images up, each reference once.
func (c *contents) locate(ctx context.Context, from origin, images []found) error {
	first := map[bundle.Ref]int{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i := range images {
		if _, known := first[images[i].Ref]; known {
			continue
		}
		first[images[i].Ref] = i
		group.Go(func() error {
			images[i].located, images[i].err = from.image(ctx, images[i].Image)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range images {
		j := first[images[i].Ref]
		images[i].located, images[i].err = images[j].located, images[j].err
	}
	return nil
}

// withExternal adds the images that the chart renders and that are not its own.
func (c *contents) withExternal(ctx context.Context, renderer render.Program, from origin) error {
	external, err := c.rendered(ctx, renderer)
	if err != nil {
		return err
	}
	var more []found
	for _, name := range external {
		more = append(more, found{Image: bundle.Image{Kind: bundle.External, Name: name, Ref: bundle.ParseRef(name)}, new: true})
	}
	if err := c.locate(ctx, from, more); err != nil {
		return err
	}
	c.images = append(c.images, more...)
	return nil
}

// rendered are the references in what the chart renders that are of none of the
// images that it is known to have.
func (c *contents) rendered(ctx context.Context, renderer render.Program) ([]string, error) {
	chart, err := c.Chart()
	if err != nil {
		return nil, err
	}
	manifests, err := render.Render(ctx, chart, render.Options{Program: renderer})
	if err != nil {
		return nil, fmt.Errorf("finding the images of others: %w", err)
	}
	names, err := render.Images(manifests)
	if err != nil {
		return nil, fmt.Errorf("finding the images of others: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		ref := bundle.ParseRef(name)
		return slices.ContainsFunc(c.images, func(f found) bool { return f.Ref.Same(ref) })
	}), nil
}

// complete is the error of everything that was not found.
func (c *contents) complete() error {
	var errs []error
	for _, image := range c.images {
		if image.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", describe(image.Image), image.err))
		}
	}
	return errors.Join(errs...)
}

// describe names an image for people.
func describe(i bundle.Image) string {
	name := fmt.Sprintf("image %q", i.Name)
	switch i.Kind {
	case bundle.Nameless:
		name = "the nameless image"
	case bundle.External:
		name = "external image " + i.Name
	}
	if i.Chart != "" {
		name += " of " + i.Chart
	}
	return name
}
