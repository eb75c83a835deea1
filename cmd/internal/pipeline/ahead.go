package pipeline

import (
	"context"

	"slipway/oci"
	"slipway/planner"
)

// lookAhead asks for images, as the plan's goals will do, while others are still
// being planned: a registry that is far away takes longer to answer than planning
// does. It is for verbs that begin with that, and are going to use no repositories
// but those of the options: a token is asked for once for all of them. Whatever is
// wrong with the options is told when they are read.
func (o *Options) lookAhead(ctx context.Context, session *oci.Session) {
	if o.TrustPlan || o.BuildReport.Use {
		return // nothing may have to be asked
	}
	open := func(name string) oci.Repository {
		ref, err := oci.ParseReference(name)
		if name == "" || err != nil || ref.IsLayout() {
			return nil
		}
		repo, err := session.Repository(ref)
		if err != nil {
			return nil
		}
		go session.PlainHTTP(ctx, ref.Registry) // which may have to be found out
		return repo
	}
	repo, final := open(o.Repo), open(o.FinalRepo)
	for _, name := range o.SecondaryRepos {
		open(name)
	}
	if repo == nil {
		return
	}
	o.Project.Planned = func(image *planner.Image) {
		from := repo
		if final != nil && image.Final {
			from = final
		}
		oci.LookAhead(ctx, from, image.Key.String())
	}
}
