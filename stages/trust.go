package stages

import (
	"context"
	"fmt"

	"slipway/engine"
	"slipway/oci"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Kept is a stage whose result is kept under a key tag.
type Kept interface {
	engine.Stage
	Kept() (in oci.Repository, as engine.Key)
}

// Kept tells where the result is, or will be.
func (k keyed) Kept() (oci.Repository, engine.Key) { return k.Repo, k.Key }

// Trusting is a stage for which the record answers, if it can.
func (r *Record) Trusting(s Kept) engine.Stage { return &trusting{Kept: s, record: r} }

type trusting struct {
	Kept
	record *Record
}

// Find takes the result from the record, with no request of its own, or asks.
func (s *trusting) Find(ctx context.Context) (engine.Result, bool, error) {
	if err := s.record.look(ctx); err != nil {
		return nil, false, err
	}
	repo, key := s.Kept.Kept()
	desc, ok := s.record.held[key]
	if !ok {
		return s.Kept.Find(ctx)
	}
	image := keyed{Repo: repo, Key: key}.image(desc)
	image.unasked = []claim{{s.record, key, desc}}
	return image, true, nil
}

// claim is an image that a record says is there, and nobody has asked for.
type claim struct {
	record *Record
	key    engine.Key
	desc   ocispec.Descriptor
}

// Confirm asks for what only a record has said is there: the image, or, of a
// chart, the images that it names. It is for what is about to depend on it.
func (i Image) Confirm(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(engine.DefaultLookups)
	for _, c := range i.unasked {
		group.Go(func() error {
			// By its key: one that was built anew may be another now.
			desc, found, err := oci.Lookup(groupCtx, c.record.repo, c.key.String())
			if err != nil || found && desc.Digest == c.desc.Digest {
				return err
			}
			c.record.withdrawn(ctx)
			return fmt.Errorf("%s is gone, and the plan record %s was trusted, which says that it is there: run once without --trust-plan",
				c.record.repo.Reference().WithDigest(c.desc.Digest), c.record)
		})
	}
	return group.Wait()
}

// withdrawn has the record say nothing any more. Else a run that builds what was
// gone, perhaps with another digest, would leave a record behind that is wrong for
// ever. Who may not write has been told what to do in any case.
func (r *Record) withdrawn(ctx context.Context) {
	r.withdraw.Do(func() {
		if raw, err := writeRecord(nil, nil); err == nil {
			oci.WriteTag(ctx, r.repo, ocispec.MediaTypeImageIndex, raw, r.tag) //nolint:errcheck // see above
		}
	})
}
