package pipeline

import (
	"fmt"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"
)

// usedFrom is the repository that an image is used from: the final one, if there
// is one and the image is final.
func (r *run) usedFrom(image *planner.Image) oci.Repository {
	if r.final != nil && image.Final {
		return r.final
	}
	return r.repo
}

// usable is the node of an image in the repository that it is used from.
func (r *run) usable(image *planner.Image) *engine.Node {
	made := r.image(image)
	target := r.usedFrom(image)
	if target == r.repo {
		return made
	}
	if r.copied[image] == nil {
		r.copied[image] = &engine.Node{
			ID: "final " + shown(image.Name), Kind: "final", Key: image.Key, Needs: []*engine.Node{made},
			Stage: stages.NewFinal(r.repo, target, image.Key, r.copies),
		}
	}
	return r.copied[image]
}

// customTags are the aliases that the templates of a flag make of the images, each
// in the repository that its image is used from. taken are names that they must
// not have, and by what.
func (r *run) customTags(flag string, templates []string, images []*planner.Image, taken map[string]string) ([]target, error) {
	var targets []target
	for _, template := range templates {
		for _, image := range images {
			tag, repo := expandTag(template, image), r.usedFrom(image)
			if !oci.IsTag(tag) {
				return nil, &diag.Diagnostic{Message: fmt.Sprintf("%s %s: %q is not a tag", flag, template, tag),
					Advice: "a tag has up to 128 of A-Z a-z 0-9 _ . - and begins with none of the last two; %image_safe_slug% is a name that fits"}
			}
			if err := r.checkAlias(flag, repo, tag); err != nil {
				return nil, err
			}
			ref, by := repo.Reference().WithTag(tag), fmt.Sprintf("the image %q", shown(image.Name))
			switch other := taken[ref.String()]; other {
			case "":
				taken[ref.String()] = by
				targets = append(targets, target{image: image, ref: ref})
			case by: // the same tag given twice
			default:
				return nil, &diag.Diagnostic{Message: fmt.Sprintf("%s %s gives %s the name of %s, %s", flag, template, by, other, ref),
					Advice: "put %image% into the tag, or choose another"}
			}
		}
	}
	return targets, nil
}

// aliases are the nodes that name images as the targets say.
func (r *run) aliases(targets []target) (nodes []*engine.Node) {
	for _, t := range targets {
		repo := r.usedFrom(t.image)
		nodes = append(nodes, r.alias(r.usable(t.image), repo, repo, t.ref))
	}
	return nodes
}
