package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// BuildReportOptions say what is done with the build report, the file that says
// which images a run came to.
type BuildReportOptions struct {
	// Save writes the report when the run has succeeded. With Use there is nothing
	// to save: the report stays as it is.
	Save bool
	// Use takes the images from the report, and builds none.
	Use bool
	// Path is where it is, relative to the current directory. It ends in .json or
	// .env, which is the form; an extension is added where there is none. "" is
	// DefaultBuildReport.
	Path string
}

// DefaultBuildReport is the reference's default of --build-report-path.
const DefaultBuildReport = ".werf-build-report.json"

// path is the file, with its extension.
func (o BuildReportOptions) path() (string, error) {
	name := cmp.Or(o.Path, DefaultBuildReport)
	switch filepath.Ext(name) {
	case ".json", ".env":
	case "":
		name += ".json"
	default:
		return "", &diag.Diagnostic{Message: fmt.Sprintf("--build-report-path %s: the extension says which form the report has", name), Advice: "let the name end in .json or .env"}
	}
	if dir, err := os.Stat(filepath.Dir(name)); err != nil || !dir.IsDir() {
		return "", &diag.Diagnostic{Message: fmt.Sprintf("--build-report-path %s: there is no directory %s", name, filepath.Dir(name))}
	}
	return name, nil
}

// BuildReport is the report in its JSON form. The names of fields are the
// reference's; fields are added, never renamed or removed.
type BuildReport struct {
	Runtime          BuildRuntime
	Images           map[string]ReportedImage            // "" is the nameless one
	ImagesByPlatform map[string]map[string]ReportedImage // image -> platform
}

// BuildRuntime says what built the images.
type BuildRuntime struct{ Backend string }

// ReportedImage is one image of a BuildReport.
type ReportedImage struct {
	WerfImageName     string
	ConfigType        string // always dockerfile
	DockerRepo        string
	DockerTag         string // the key
	DockerImageID     string // the config's digest; an index has no config, so its own
	DockerImageDigest string
	DockerImageName   string // DockerRepo:DockerTag
	TargetPlatform    string // "" is the index over several
	Rebuilt           bool   // by this run
	Final             bool
	Size              int64  // bytes of the layers as they are stored; of an index, the sum
	BuildTime         string // seconds that this run spent, "0.00" if not Rebuilt; of an index, the sum
	Commit            string // that was planned; "" where the work tree had a part in it
}

// saveReport writes the report of a run that has succeeded.
func (r *run) saveReport(ctx context.Context, report *engine.Report) error {
	doc := &BuildReport{
		Runtime: BuildRuntime{Backend: "buildkit"},
		Images:  map[string]ReportedImage{}, ImagesByPlatform: map[string]map[string]ReportedImage{},
	}
	w := &reportWriter{run: r, nodes: map[*engine.Node]engine.NodeReport{}}
	for _, n := range report.Nodes {
		w.nodes[n.Node] = n
	}
	records := make([]imageRecords, len(r.plan.Images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(engine.DefaultLookups)
	for i, image := range r.plan.Images {
		group.Go(func() (err error) {
			records[i], err = w.image(ctx, image)
			if made, ok := w.made(image); ok && oci.IsNotFound(err) {
				err = cmp.Or(made.Confirm(ctx), err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("making the build report: %w", err)
	}
	var ordered []ReportedImage
	for i, image := range r.plan.Images {
		doc.Images[image.Name], doc.ImagesByPlatform[image.Name] = records[i].whole, records[i].platforms
		ordered = append(ordered, records[i].whole)
	}
	text := envReport(ordered)
	if filepath.Ext(r.report) == ".json" {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		if err := e.Encode(doc); err != nil {
			return err
		}
		text = b.Bytes()
	}
	return replaceFile(r.report, text)
}

// reportWriter makes the records of images.
type reportWriter struct {
	*run
	nodes map[*engine.Node]engine.NodeReport
}

type imageRecords struct {
	whole     ReportedImage
	platforms map[string]ReportedImage
}

// made is the image that the run came to.
func (w *reportWriter) made(image *planner.Image) (made stages.Image, ok bool) {
	made, ok = w.nodes[w.run.image(image)].Result.(stages.Image)
	return made, ok
}

// image describes an image and its platforms, with a request per manifest.
func (w *reportWriter) image(ctx context.Context, image *planner.Image) (imageRecords, error) {
	out := imageRecords{platforms: map[string]ReportedImage{}}
	made, ok := w.made(image)
	if !ok {
		return out, fmt.Errorf("image %q has no result", shown(image.Name))
	}
	children := []ocispec.Descriptor{made.Desc}
	if len(image.Builds) > 1 {
		var index ocispec.Index
		if err := oci.ReadManifest(ctx, w.repo, made.Desc, &index); err != nil {
			return out, err
		}
		if children = index.Manifests; len(children) != len(image.Builds) {
			return out, fmt.Errorf("%s has %d images, not one for each of %d platforms", made.Ref(), len(children), len(image.Builds))
		}
	}
	var size int64
	var spent time.Duration
	rebuilt := false
	for i, b := range image.Builds {
		var manifest ocispec.Manifest
		if err := oci.ReadManifest(ctx, w.repo, children[i], &manifest); err != nil {
			return out, err
		}
		c := w.record(image, b.Key, children[i])
		c.TargetPlatform, c.DockerImageID = platforms.FormatAll(b.Platform), manifest.Config.Digest.String()
		for _, layer := range manifest.Layers {
			c.Size += layer.Size
		}
		var took time.Duration
		n := w.nodes[w.run.build(image, b)]
		if built, ok := n.Result.(stages.Image); ok && n.Status == engine.StatusRan && !built.Copied() {
			c.Rebuilt, took = true, n.Duration
		}
		c.BuildTime = seconds(took)
		out.platforms[c.TargetPlatform], out.whole = c, c
		size, spent, rebuilt = size+c.Size, spent+took, rebuilt || c.Rebuilt
	}
	if len(image.Builds) > 1 {
		out.whole = w.record(image, image.Key, made.Desc)
		out.whole.DockerImageID = made.Desc.Digest.String()
		out.whole.Size, out.whole.BuildTime, out.whole.Rebuilt = size, seconds(spent), rebuilt
	}
	return out, nil
}

func (w *reportWriter) record(image *planner.Image, key engine.Key, desc ocispec.Descriptor) ReportedImage {
	ref := w.repo.Reference()
	out := ReportedImage{
		WerfImageName: image.Name, ConfigType: "dockerfile", Final: image.Final,
		DockerRepo: ref.Name(), DockerTag: key.String(), DockerImageName: ref.WithTag(key.String()).String(),
		DockerImageDigest: desc.Digest.String(),
	}
	if p := w.options.Project; !p.Dev && !p.Loose {
		out.Commit = w.plan.Source.CommitID()
	}
	return out
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
