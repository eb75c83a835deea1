package pipeline

import (
	"context"
	"errors"
	"fmt"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"
)

// ExportOptions are what export takes beside Options.
type ExportOptions struct {
	Tags   []string // templates, see expandTag
	Labels map[string]string
}

// Export makes the chosen final images and publishes each under every tag. No tag
// moves before all images are where they will be.
func Export(ctx context.Context, o Options, e ExportOptions) (_ *Report, err error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	images := r.plan.Images
	if len(images) == 0 {
		return nil, &diag.Diagnostic{Message: "there is no image to export", Advice: "werf.yaml has no image, or all have final: false"}
	}
	targets, err := exportTargets(e.Tags, images)
	if err != nil {
		return nil, err
	}
	if r.final != nil {
		for _, image := range images {
			r.barrier.Needs = append(r.barrier.Needs, r.usable(image))
		}
	}
	var goals []*engine.Node
	var published []string
	for _, t := range targets {
		repo, err := r.session.Repository(t.ref)
		if err != nil {
			return nil, err
		}
		if err := r.checkAlias("--tag", repo, t.ref.Tag); err != nil {
			return nil, err
		}
		goals = append(goals, r.alias(r.labelled(t.image, e.Labels), r.repo, repo, t.ref))
		published = append(published, t.ref.String())
	}
	report, err := r.execute(ctx, goals)
	report.Published = published
	return report, err
}

// alias is the node that names in target what made makes in source, behind the
// barrier.
func (r *run) alias(made *engine.Node, source, target oci.Repository, ref oci.Reference) *engine.Node {
	deliver := &engine.Node{
		ID: "deliver " + ref.String(), Kind: "deliver", Needs: []*engine.Node{made},
		Stage: &stages.Deliver{Source: source, Target: target, Alias: ref.Tag, Copies: r.copies},
	}
	r.barrier.Needs = append(r.barrier.Needs, deliver)
	return &engine.Node{
		ID: "tag " + ref.String(), Kind: "tag", Needs: []*engine.Node{deliver, r.barrier},
		Stage: &stages.Alias{Target: target, Tag: ref.Tag},
	}
}

// target is one name that an image is to be published under.
type target struct {
	image *planner.Image
	ref   oci.Reference
}

// exportTargets expands every tag for every image. Two images must not get one
// name.
func exportTargets(tags []string, images []*planner.Image) ([]target, error) {
	if len(tags) == 0 {
		return nil, &diag.Diagnostic{Message: "export needs at least one --tag", Advice: "for example --tag registry.example.org/project/app:latest"}
	}
	taken := map[string]*planner.Image{}
	var targets []target
	for _, tag := range tags {
		for _, image := range images {
			ref, err := oci.ParseReference(expandTag(tag, image))
			if err != nil {
				return nil, &diag.Diagnostic{Message: fmt.Sprintf("--tag %s: %v", tag, err)}
			}
			if ref.Digest != "" {
				return nil, &diag.Diagnostic{Message: fmt.Sprintf("--tag %s: a digest cannot be chosen; leave out @%s", tag, ref.Digest)}
			}
			if ref.Tag == "" {
				ref = ref.WithTag("latest")
			}
			switch other := taken[ref.String()]; other {
			case nil:
				taken[ref.String()] = image
				targets = append(targets, target{image: image, ref: ref})
			case image: // the same tag given twice
			default:
				return nil, &diag.Diagnostic{
					Message: fmt.Sprintf("--tag %s gives the images %q and %q one name, %s", tag, shown(other.Name), shown(image.Name), ref),
					Advice:  "put %image% into the tag, or name the one image to export",
				}
			}
		}
	}
	return targets, nil
}
