package pipeline

import (
	"context"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/dockerfile"
	"slipway/planner/werfyaml"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// wantedBase is a base that some build of the project is made from.
type wantedBase struct {
	name     string
	platform ocispec.Platform // one that it is used for
}

// is tells whether people mean this base by a name: node, node:22 or all of it.
func (w wantedBase) is(name string) bool {
	return w.name == name || w.name == name+":latest" || strings.HasSuffix(w.name, "/"+name) || strings.HasSuffix(w.name, "/"+name+":latest")
}

func (r *run) wantedBases() []wantedBase {
	var out []wantedBase
	for _, image := range r.plan.Images {
		for _, b := range image.Builds {
			for _, name := range b.Recipe.Bases {
				if !slices.ContainsFunc(out, func(w wantedBase) bool { return w.name == name }) {
					out = append(out, wantedBase{name: name, platform: b.Platform})
				}
			}
		}
	}
	return out
}

// wantedRemote is a file or a repository that some build fetches and nothing pins.
type wantedRemote struct {
	dockerfile.Remote
	secrets []werfyaml.Secret // of an image that fetches it
}

// is tells whether people mean this remote by a name: the URL as it is in the lock
// file, or as it is in a Dockerfile.
func (w wantedRemote) is(name string) bool {
	return w.Name == name || w.Name == dockerfile.RemoteName(name)
}

func (r *run) wantedRemotes() []wantedRemote {
	var out []wantedRemote
	for _, image := range r.plan.Images {
		for _, b := range image.Builds {
			for _, remote := range b.Recipe.Remotes {
				if remote.Pin == "" && !slices.ContainsFunc(out, func(w wantedRemote) bool { return w.Name == remote.Name }) {
					out = append(out, wantedRemote{remote, image.How.Secrets})
				}
			}
		}
	}
	return out
}

// noteFloating says once, and only in a run that builds, what is another thing
// whenever its name moves.
func (r *run) noteFloating(ctx context.Context) {
	r.floating.Do(func() {
		var bases, remotes []string
		for _, base := range r.wantedBases() {
			if !strings.Contains(base.name, "@") {
				bases = append(bases, base.name)
			}
		}
		for _, remote := range r.wantedRemotes() {
			remotes = append(remotes, remote.Name)
		}
		note := func(what string, names []string) {
			if len(names) > 0 {
				slices.Sort(names)
				engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: what + "; slipway lock pins them: " + strings.Join(names, ", ")})
			}
		}
		note("base images float with their tags", bases)
		note("remote files float with what their URLs hold", remotes)
	})
}
