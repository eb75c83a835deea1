package pipeline

import (
	"context"
	"errors"

	"slipway/engine"

	"github.com/containerd/platforms"
)

// PlanDocument is the output of `slipway plan --output json`. Fields are added,
// never renamed or removed.
type PlanDocument struct {
	Project string      `json:"project"`
	Repo    string      `json:"repo"`
	Images  []PlanImage `json:"images"` // in the order of werf.yaml
}

// PlanImage is one image of a PlanDocument.
type PlanImage struct {
	Name     string   `json:"name"`
	Platform string   `json:"platform"` // "" is the index over the platforms that follow
	Key      string   `json:"key"`      // 64 hexadecimal digits
	Ref      string   `json:"ref"`      // REPO:<key>
	Final    bool     `json:"final"`
	Bases    []string `json:"bases"` // images of FROM and COPY --from, by name
	Needs    []string `json:"needs"` // names of the project's images that this one is made from
}

// Plan tells what the planner decided. It asks no registry and builds nothing.
func Plan(ctx context.Context, o Options) (_ *PlanDocument, err error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	repo := r.repo.Reference()
	if r.options.Repo == "" {
		repo = localReference(r.plan.Project)
	}
	doc := &PlanDocument{Project: r.plan.Project, Repo: repo.String(), Images: []PlanImage{}}
	for _, image := range r.plan.Images {
		needs := []string{}
		for _, n := range image.Needs {
			needs = append(needs, n.Name)
		}
		entry := func(platform string, key engine.Key, bases []string) {
			doc.Images = append(doc.Images, PlanImage{
				Name: image.Name, Platform: platform, Key: key.String(), Ref: repo.WithTag(key.String()).String(),
				Final: image.Final, Bases: append([]string{}, bases...), Needs: needs,
			})
		}
		if len(image.Builds) > 1 {
			entry("", image.Key, nil)
		}
		for _, b := range image.Builds {
			entry(platforms.FormatAll(b.Platform), b.Key, b.Recipe.Bases)
		}
	}
	return doc, nil
}
