package dockerfile

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway/engine"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Dependency is another image of the project that this one is made from: build
// arguments name it. Its key stands for it in the key, and its planned config for
// its real one, so that keys are known before anything is built.
type Dependency struct {
	Repo    string // where images are kept, without tag
	Key     engine.Key
	Config  []byte // Recipe.Config of the other image
	Imports []Import
}

// Import hands a fact about the other image to a build argument.
type Import struct {
	Arg  string
	Type ImportType
}

// ImportType is one of the reference's import types.
type ImportType string

// The facts that can be imported. ID and digest are known once the image is
// built: until then the key stands for them.
const (
	ImageName   ImportType = "ImageName"   // REPO:KEY
	ImageRepo   ImportType = "ImageRepo"   // REPO
	ImageTag    ImportType = "ImageTag"    // KEY
	ImageID     ImportType = "ImageID"     // digest of the config
	ImageDigest ImportType = "ImageDigest" // digest of the manifest
)

// Made is a dependency that exists.
type Made struct {
	Digest digest.Digest
	ID     digest.Digest // of the config
	Config []byte
	// Layout is set if it is in a layout that the solver reads through the client.
	Layout bool
}

// LayoutStore is the name under which a solver finds the layout that the
// repository is, where Made.Layout says so.
const LayoutStore = "repository"

// planned is the dependency as planning sees it.
func (d Dependency) planned() Made {
	stand := digest.NewDigestFromEncoded(digest.SHA256, d.Key.String())
	return Made{Digest: stand, ID: stand, Config: d.Config}
}

// args are the build arguments that the imports set.
func (d Dependency) args(made Made) map[string]string {
	values := map[ImportType]string{
		ImageName: d.Repo + ":" + d.Key.String(), ImageRepo: d.Repo, ImageTag: d.Key.String(),
		ImageID: made.ID.String(), ImageDigest: made.Digest.String(),
	}
	args := map[string]string{}
	for _, i := range d.Imports {
		args[i.Arg] = values[i.Type]
	}
	return args
}

// is tells whether a normalised image reference names the dependency, by its key
// tag or by its digest.
func (d Dependency) is(ref string, made Made) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return false
	}
	repo, err := reference.ParseNormalizedNamed(d.Repo)
	if err != nil || repo.Name() != named.Name() {
		return false
	}
	if t, ok := named.(reference.Tagged); ok && t.Tag() == d.Key.String() {
		return true
	}
	g, ok := named.(reference.Digested)
	return ok && g.Digest() == made.Digest
}

// images are the dependencies of one conversion with what stands for them.
type images struct {
	dependencies []Dependency
	made         []Made
	platform     ocispec.Platform // that all of them are for
}

// find returns the dependency that ref names.
func (i images) find(ref string) (Dependency, Made, bool) {
	for n, d := range i.dependencies {
		if d.is(ref, i.made[n]) {
			return d, i.made[n], true
		}
	}
	return Dependency{}, Made{}, false
}

// resolve is find for an image that a stage is based on. Dependencies are there
// for the target's platform; FROM --platform can ask for another.
func (i images) resolve(ref string, p ocispec.Platform) (Made, bool, error) {
	_, made, ok := i.find(ref)
	if asked, have := platforms.FormatAll(platforms.Normalize(p)), platforms.FormatAll(platforms.Normalize(i.platform)); ok && p.OS != "" && asked != have {
		return made, true, fmt.Errorf("this image of the project is wanted for %s, and it is there for %s: FROM --platform cannot choose another for it", asked, have)
	}
	return made, ok, nil
}

func (i images) has(ref string) bool {
	_, _, ok := i.find(ref)
	return ok
}

// args adds what the imports set to the image's own build arguments.
func (i images) args(own map[string]string) map[string]string {
	all := map[string]string{}
	for k, v := range own {
		all[k] = v
	}
	for n, d := range i.dependencies {
		for k, v := range d.args(i.made[n]) {
			all[k] = v
		}
	}
	return all
}

// ResolveImage answers for dependencies and leaves everything else to others.
type withImages struct {
	images
	others ConfigResolver
}

func (w withImages) ResolveImage(ctx context.Context, name string, p ocispec.Platform) (digest.Digest, []byte, error) {
	if made, ok, err := w.resolve(name, p); ok || err != nil {
		return made.Digest, made.Config, err
	}
	return w.others.ResolveImage(ctx, name, p)
}

const imageScheme = "docker-image://"

// byKey levels the name of a dependency in a definition: where it is kept does
// not matter, its key does.
func (i images) byKey(src *pb.SourceOp) {
	if ref, ok := strings.CutPrefix(src.Identifier, imageScheme); ok {
		if d, _, ok := i.find(ref); ok {
			src.Identifier = imageScheme + "project/" + d.Key.String()
		}
	}
}

// fromLayout makes the solver read a dependency that is in a layout through the
// client: no registry serves it.
func (i images) fromLayout(src *pb.SourceOp) {
	if ref, ok := strings.CutPrefix(src.Identifier, imageScheme); ok {
		if _, made, ok := i.find(ref); ok && made.Layout {
			src.Identifier = "oci-layout://" + ref
			src.Attrs[pb.AttrOCILayoutStoreID] = LayoutStore
		}
	}
}

// withLayers gives a planned config a layer, if it has none: the conversion takes
// an image without layers for scratch.
func withLayers(config []byte) ([]byte, error) {
	var img dockerspec.DockerOCIImage
	if err := json.Unmarshal(config, &img); err != nil {
		return nil, err
	}
	if len(img.RootFS.DiffIDs) == 0 {
		img.RootFS.DiffIDs = []digest.Digest{baseLayer}
	}
	return json.Marshal(img)
}
