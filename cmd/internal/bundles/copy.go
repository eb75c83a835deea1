package bundles

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner/diag"
	"slipway/stages"
	"slipway/stages/bundle"
	"slipway/stages/chart"
	"slipway/stages/chart/render"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
)

// CopyOptions say what is copied, and how.
type CopyOptions struct {
	From, To string // HOST/REPO[:TAG], archive:FILE or oci:DIR[:TAG]
	// Rename is the chart's new name; without it, a chart that goes to a registry
	// is called as its repository's last part if HelmCompatible.
	Rename         string
	HelmCompatible bool
	// External takes the images of others along that the chart renders.
	External bool
	// Since is a bundle that the destination's side has: an archive is written
	// without what is in it.
	Since    string
	Registry oci.Options
	Renderer render.Program // nil is this program
	Sinks    []engine.Sink
}

// Report is what a copy did.
type Report struct {
	*engine.Report
	Requests  oci.Stats
	Published []string
}

// copies is how many images are copied at a time.
const copies = 5

// Copy copies a bundle: the chart and every image that it names, all platforms
// of it. The destination's tag, or the archive's name, appears when all is there.
// A copy that was cut off goes on where it was.
func Copy(ctx context.Context, o CopyOptions) (_ *Report, err error) {
	from, err := parseAddress("--from", o.From)
	if err != nil {
		return nil, err
	}
	to, err := parseAddress("--to", o.To)
	if err != nil {
		return nil, err
	}
	if to.ref.Digest != "" {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("--to %s: a digest cannot be chosen", o.To), Advice: "leave out @" + to.ref.Digest.String()}
	}
	if o.Since != "" && !to.isArchive() {
		return nil, &diag.Diagnostic{Message: "--since is for archives: a registry is never sent what it has"}
	}
	session, err := oci.NewSession(o.Registry)
	if err != nil {
		return nil, &diag.Diagnostic{Message: err.Error()}
	}
	source, err := open(ctx, session, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	c, err := read(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", from, err)
	}
	if o.External {
		if err := c.withExternal(ctx, o.Renderer, source); err != nil {
			return nil, fmt.Errorf("reading the bundle %s: %w", from, err)
		}
	}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("the bundle %s is not complete: %w", from, err)
	}
	t := transfer{options: o, contents: c, to: to, session: session}
	var goal *engine.Node
	switch {
	case to.isArchive():
		goal, err = t.toArchive(ctx)
	case to.isRegistry():
		goal, err = t.toRegistry()
	default:
		goal, err = t.toLayout()
	}
	if err != nil {
		return nil, err
	}
	report, err := engine.Run(ctx, []*engine.Node{goal}, engine.Options{Parallel: engine.DefaultLookups, Sinks: o.Sinks})
	return &Report{Report: report, Requests: session.Requests(), Published: []string{to.String()}}, err
}

// transfer is a bundle on its way.
type transfer struct {
	*contents
	options CopyOptions
	to      address
	session *oci.Session
}

// toRegistry copies every image into the bundle's repository and names them there.
func (t *transfer) toRegistry() (*engine.Node, error) {
	repo, err := t.session.Repository(t.to.ref)
	if err != nil {
		return nil, err
	}
	nodes, order := t.imageNodes(repo)
	pack := func(_ context.Context, images []stages.Image) (*chart.Package, error) {
		at := map[digest.Digest]stages.Image{}
		for i, image := range images {
			at[order[i]] = image
		}
		name := t.options.Rename
		if name == "" && t.options.HelmCompatible {
			name = path.Base(t.to.ref.Repository)
		}
		changes := bundle.Changes{Name: name, Version: chart.VersionForTag(t.to.ref.Tag), Repo: repo.Reference().Name(), External: map[string]bundle.Ref{}}
		changes.Place = func(i bundle.Image) (bundle.Ref, error) {
			for _, f := range t.images {
				if f.Image == i {
					image := at[f.desc.Digest]
					return bundle.Ref{Repo: repo.Reference().Name(), Tag: image.Tag, Digest: image.Desc.Digest.String()}, nil
				}
			}
			return bundle.Ref{}, fmt.Errorf("%s was not copied", describe(i))
		}
		for _, f := range t.images {
			if f.new {
				ref, err := changes.Place(f.Image)
				if err != nil {
					return nil, err
				}
				changes.External[f.Name] = ref
			}
		}
		return t.Rewrite(changes)
	}
	chartNode := &engine.Node{ID: "chart " + t.to.String(), Kind: "chart", Needs: nodes, Stage: stages.NewChart(repo, pack)}
	return tagged(chartNode, repo, t.to.ref), nil
}

// toLayout copies the bundle as it is: a layout holds its images whatever the
// chart says of their place.
func (t *transfer) toLayout() (*engine.Node, error) {
	repo, err := t.session.Repository(t.to.ref)
	if err != nil {
		return nil, err
	}
	nodes, _ := t.imageNodes(repo)
	id := "chart " + t.to.String()
	if !t.needsRewriting() {
		stage := &stages.Transfer{Source: t.ReadOnlyStorage, Image: t.located.desc, Target: repo, Tag: t.located.desc.Digest.Encoded()}
		node := &engine.Node{ID: id, Kind: "copy", Needs: nodes, Stage: inOrder{stage}}
		return tagged(node, repo, t.to.ref), nil
	}
	node := &engine.Node{ID: id, Kind: "chart", Needs: nodes, Stage: stages.NewChart(repo, func(context.Context, []stages.Image) (*chart.Package, error) { return t.pinned() })}
	return tagged(node, repo, t.to.ref), nil
}

// inOrder hides what a transfer would find: its needs are looked at first.
type inOrder struct{ *stages.Transfer }

func (inOrder) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// imageNodes copies each distinct image; order has their digests.
func (t *transfer) imageNodes(repo oci.Repository) (nodes []*engine.Node, order []digest.Digest) {
	limit := semaphore.NewWeighted(copies)
	known := map[digest.Digest]bool{}
	for _, f := range t.images {
		if known[f.desc.Digest] {
			continue
		}
		known[f.desc.Digest] = true
		nodes = append(nodes, &engine.Node{
			ID: "copy " + f.Ref.String(), Kind: "copy",
			Stage: &stages.Transfer{Source: f.ReadOnlyStorage, Image: f.desc, Target: repo, Tag: tagOf(f), Copies: limit},
		})
		order = append(order, f.desc.Digest)
	}
	return nodes, order
}

// tagOf is the tag that an image is kept under. Those of others may be called
// alike, and so are called after what they are.
func tagOf(f found) string {
	switch {
	case f.Kind == bundle.External:
		name := path.Base(bundle.ParseRef(f.Name).Repo)
		if tag := bundle.ParseRef(f.Name).Tag; tag != "" {
			name += "-" + tag
		}
		const short = 12
		name = strings.TrimLeft(name[:min(len(name), 100)], ".-")
		return strings.TrimSuffix(name, "-") + "-" + f.desc.Digest.Encoded()[:short]
	case f.Ref.Tag != "":
		return f.Ref.Tag
	}
	return f.desc.Digest.Encoded()
}

// tagged names a chart that is in its repository.
func tagged(node *engine.Node, repo oci.Repository, ref oci.Reference) *engine.Node {
	deliver := &engine.Node{ID: "deliver " + ref.String(), Kind: "deliver", Needs: []*engine.Node{node}, Stage: &stages.Deliver{Source: repo, Target: repo, Alias: ref.Tag}}
	return &engine.Node{ID: "tag " + ref.String(), Kind: "tag", Needs: []*engine.Node{deliver}, Stage: &stages.Alias{Target: repo, Tag: ref.Tag}}
}

// needsRewriting tells whether the chart must change where references need not:
// external images have to be recorded, and an archive of werf 2 has digests that
// are not those of its images.
func (t *transfer) needsRewriting() bool {
	for _, f := range t.images {
		if f.new || f.Ref.Digest != "" && f.Ref.Digest != f.desc.Digest.String() {
			return true
		}
	}
	return t.ReadOnlyStorage == nil
}

// pinned is the chart with every image where it was, by digest.
func (t *transfer) pinned() (*chart.Package, error) {
	changes := bundle.Changes{Name: t.options.Rename, External: map[string]bundle.Ref{}}
	pin := func(f found) bundle.Ref {
		ref := f.Ref
		ref.Digest = f.desc.Digest.String()
		return ref
	}
	changes.Place = func(i bundle.Image) (bundle.Ref, error) {
		for _, f := range t.images {
			if f.Image == i {
				return pin(f), nil
			}
		}
		return bundle.Ref{}, fmt.Errorf("%s was not copied", describe(i))
	}
	for _, f := range t.images {
		if f.new {
			changes.External[f.Name] = pin(f)
		}
	}
	return t.Rewrite(changes)
}

// chartBlobs are what pinned makes, as it is kept.
func (t *transfer) chartBlobs() (manifest oci.Blob, blobs []oci.Blob, err error) {
	pkg, err := t.pinned()
	if err != nil {
		return manifest, nil, err
	}
	raw, blobs := oci.ChartManifest(pkg.Config, pkg.Archive, pkg.Annotations)
	return oci.NewBlob(ocispec.MediaTypeImageManifest, raw), blobs, nil
}
