// Package stages holds the kinds of work that a plan is made of, one file each:
// build an image, add labels to it, name it, package a chart, name that. Each
// is an engine.Stage: it knows how to find its result in a registry and how to
// make it.
//
// It must never know werf.yaml, git or how a plan came about; what a stage needs
// to know is in its fields.
package stages

import (
	"context"
	"fmt"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is the result of the stages that make images: a manifest in a
// repository.
type Image struct {
	Repo oci.Reference // without tag
	Tag  string        // the key tag
	Desc ocispec.Descriptor

	found   bool
	copied  bool
	unasked []claim // see Confirm
}

// Copied tells that the image was brought from where it had been built before.
func (i Image) Copied() bool { return i.copied }

// Unchanged tells that Run found the image as it should be.
func (i Image) Unchanged() bool { return i.found }

// Ref is the image's reference by its key tag.
func (i Image) Ref() string { return i.Repo.WithTag(i.Tag).String() }

// keyed finds and names results that are kept under a key tag.
type keyed struct {
	Repo oci.Repository
	Key  engine.Key
}

// Find asks for the key tag, with one request.
func (k keyed) Find(ctx context.Context) (engine.Result, bool, error) {
	desc, found, err := oci.Lookup(ctx, k.Repo, k.Key.String())
	if err != nil || !found {
		return nil, false, err
	}
	return k.image(desc), true, nil
}

// claim gives the manifest its key tag; if another run was faster, the image is
// the other run's.
func (k keyed) claim(ctx context.Context, desc ocispec.Descriptor) (Image, error) {
	winner, err := oci.Claim(ctx, k.Repo, desc, k.Key.String())
	if err != nil {
		return Image{}, err
	}
	return k.image(winner), nil
}

func (k keyed) image(desc ocispec.Descriptor) Image {
	return Image{Repo: k.Repo.Reference(), Tag: k.Key.String(), Desc: desc}
}

// only returns the single image that a stage needs.
func only(needs []engine.Result) (Image, error) { return need[Image](needs) }

// all returns the images that a stage needs.
func all(needs []engine.Result) ([]Image, error) {
	images := make([]Image, len(needs))
	for i := range needs {
		image, err := only(needs[i:])
		if err != nil {
			return nil, err
		}
		images[i] = image
	}
	return images, nil
}

// need returns the first of a stage's needs as what it must be.
func need[T any](needs []engine.Result) (T, error) {
	var zero T
	if len(needs) == 0 {
		return zero, fmt.Errorf("a stage that needs a %T was given nothing", zero)
	}
	t, ok := needs[0].(T)
	if !ok {
		return zero, fmt.Errorf("a stage that needs a %T was given a %T", zero, needs[0])
	}
	return t, nil
}

// note tells people something that they should read.
func note(ctx context.Context, format string, args ...any) {
	engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: fmt.Sprintf(format, args...)})
}
