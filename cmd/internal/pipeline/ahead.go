package pipeline

import (
	"context"
	"slices"

	"slipway/oci"
	"slipway/planner"
)

// lookAhead asks for images, as the plan's goals will do, while others are still
// being planned: a registry that is far away takes longer to answer than planning
// does. It is for runs that begin with that, in which nothing of the user's is read
// after the plan that could be wrong (what is not committed is told after the plan,
// all the same), and which use no repositories but those of the options: a token is
// asked for once for all of them. Whatever is wrong with the options is told when
// they are read.
func (o *Options) lookAhead(ctx context.Context, session *oci.Session) {
	if o.TrustPlan || o.BuildReport.Use || !knownCacheMode(o.Cache.Mode) {
		return // nothing may have to be asked
	}
	places := map[string]oci.Repository{}
	for _, name := range slices.Concat([]string{o.Repo, o.FinalRepo}, o.SecondaryRepos, o.Cache.Repos) {
		if name == "" {
			continue
		}
		ref, err := oci.ParseReference(name)
		if err != nil || ref.Tag != "" || ref.Digest != "" {
			return
		}
		if places[name], err = session.Repository(ref); err != nil {
			return
		}
	}
	for _, repo := range places {
		if ref := repo.Reference(); !ref.IsLayout() {
			session.Connect(ctx, ref.Registry)
		}
	}
	o.Project.Planned = func(image *planner.Image) {
		from := o.Repo
		if o.FinalRepo != "" && image.Final {
			from = o.FinalRepo
		}
		if repo := places[from]; repo != nil {
			oci.LookAhead(ctx, repo, image.Key.String())
		}
	}
}
