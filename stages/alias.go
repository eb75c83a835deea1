package stages

import (
	"context"

	"slipway/engine"
	"slipway/oci"

	"golang.org/x/sync/semaphore"
)

// Delivery is the result of Deliver: the image is where the alias will be.
type Delivery struct {
	Image
	copied  bool
	current bool // the alias already names the image
}

// Unchanged tells that there was nothing to copy.
func (d Delivery) Unchanged() bool { return !d.copied }

// Published is the result of Alias.
type Published struct{ moved bool }

// Unchanged tells that the alias was right already.
func (p Published) Unchanged() bool { return !p.moved }

// Deliver brings an image to the repository of an alias, by digest: its bytes are
// there before any name is. It also looks at the alias, once: if that is right
// already, neither it nor the stage that moves it does anything.
type Deliver struct {
	Source, Target oci.Repository
	Alias          string
	Copies         *semaphore.Weighted // bounds copies, not look-ups; nil is no bound
}

// Find has nothing to go by: what the alias should name is known when the image
// is.
func (s *Deliver) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run copies what the target lacks, mounting blobs where the registry can.
func (s *Deliver) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	image, err := only(needs)
	if err != nil {
		return nil, err
	}
	desc, found, err := oci.Lookup(ctx, s.Target, s.Alias)
	if err != nil {
		return nil, err
	}
	if found && desc.Digest == image.Desc.Digest {
		return Delivery{Image: image, current: true}, nil
	}
	if err := image.Confirm(ctx); err != nil {
		return nil, err
	}
	if s.Target == s.Source {
		return Delivery{Image: image}, nil
	}
	err = copyImage(ctx, s.Copies, s.Source, s.Target, image)
	return Delivery{Image: image, copied: true}, err
}

// Alias moves a tag that people chose to what was delivered. Its node also needs
// the barrier, so that no alias moves before everything is durable.
type Alias struct {
	Target oci.Repository
	Tag    string
}

// Find has nothing to go by, see Deliver.
func (s *Alias) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run moves the tag.
func (s *Alias) Run(ctx context.Context, needs []engine.Result) (engine.Result, error) {
	delivery, err := need[Delivery](needs)
	if err != nil || delivery.current {
		return Published{}, err
	}
	moved, err := oci.Move(ctx, s.Target, delivery.Desc, s.Tag)
	return Published{moved: moved}, err
}

// Barrier needs every durable stage of a run; what people can see moves only
// behind it.
type Barrier struct{}

// Find never hits: the barrier is what its needs are.
func (Barrier) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }

// Run does nothing: its needs are done.
func (Barrier) Run(context.Context, []engine.Result) (engine.Result, error) {
	return Published{}, nil
}
