package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/oci"
	"slipway/oci/archive"
	"slipway/planner/diag"
	"slipway/stages"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
)

// CopyOptions are what stages copy takes beside Options, of which it does not
// read Repo.
type CopyOptions struct {
	From, To string // HOST/REPO, archive:FILE or oci:DIR
	// Commit copies the keys of the project at its commit, building what the
	// source lacks, and not all that there are.
	Commit bool
}

// CopyStages copies keys with what they name, so that a cache can be seeded or
// moved. A key appears when everything under it is there, and one that is there
// stays as it is.
func CopyStages(ctx context.Context, o Options, c CopyOptions) (_ *Report, err error) {
	from, err := parsePlace("--from", c.From)
	if err != nil {
		return nil, err
	}
	to, err := parsePlace("--to", c.To)
	if err != nil {
		return nil, err
	}
	if from.same(to) {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("--from and --to are the same: %s", to)}
	}
	r := &run{options: o}
	if !c.Commit {
		if r.session, err = oci.NewSession(o.Registry); err != nil {
			return nil, &diag.Diagnostic{Message: err.Error()}
		}
	} else {
		switch {
		case from.archive == "":
			o.Repo = from.String() // where what is missing is built
		case to.archive == "":
			o.Repo = to.String()
		}
		if r, err = open(ctx, o); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.close()) }()
	}
	source, closeSource, err := r.source(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeSource()) }()
	t := transfer{run: r, from: from, to: to, source: source, copies: semaphore.NewWeighted(DefaultParallel)}
	if to.archive == "" {
		if t.target, err = r.session.Repository(to.ref); err != nil {
			return nil, err
		}
	}
	goals := t.all
	if c.Commit {
		goals = t.commit
	}
	report, err := r.execute(ctx, goals())
	report.Published = []string{to.String()}
	return report, err
}

// transfer is keys on their way.
type transfer struct {
	*run
	from, to place
	source   oras.ReadOnlyTarget
	target   oci.Repository // nil for an archive
	copies   *semaphore.Weighted
}

// all copies every key that the source has, in one stage.
func (t *transfer) all() []*engine.Node {
	node := &engine.Node{ID: "copy " + t.from.String(), Kind: "copy", Stage: t.stage(t.keys)}
	return []*engine.Node{node}
}

func (t *transfer) stage(keys stages.Keys) engine.Stage {
	if t.target == nil {
		return &stages.ArchiveKeys{Source: t.source, Keys: keys, Path: t.to.archive}
	}
	return &stages.CopyKeys{Source: t.source, Keys: keys, Target: t.target, Copies: t.copies}
}

// keys lists those of the source.
func (t *transfer) keys(ctx context.Context, some func([]string) error) error {
	onlyKeys := func(tags []string) error {
		return some(slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return !keyTag.MatchString(tag) }))
	}
	switch source := t.source.(type) {
	case oci.Repository:
		return oci.Tags(ctx, source, onlyKeys)
	case *archived:
		var tags []string
		for tag := range source.tags {
			tags = append(tags, tag)
		}
		return onlyKeys(tags)
	}
	return nil
}

// commit copies the keys of the plan: of each image and of its platforms. Where
// the source is a repository, what it lacks is built there first.
func (t *transfer) commit() []*engine.Node {
	var keys []string
	var made []*engine.Node
	copies := map[string]*engine.Node{}
	add := func(id string, key engine.Key, node *engine.Node, after ...*engine.Node) *engine.Node {
		if known := copies[key.String()]; known != nil {
			return known
		}
		keys = append(keys, key.String())
		var needs []*engine.Node
		if t.from.archive == "" {
			needs = append(needs, node)
		}
		made = append(made, needs...)
		copied := &engine.Node{ID: id, Kind: "copy", Needs: append(needs, after...), Stage: &stages.CopyKey{Source: t.source, Target: t.target, Key: key.String(), Copies: t.copies}}
		copies[key.String()] = copied
		return copied
	}
	for _, image := range t.plan.Images {
		id := "copy " + shown(image.Name)
		var children []*engine.Node
		for _, b := range image.Builds {
			of := id
			if len(image.Builds) > 1 {
				of += " " + platforms.FormatAll(b.Platform)
			}
			children = append(children, add(of, b.Key, t.build(image, b)))
		}
		add(id, image.Key, t.image(image), children...)
	}
	if t.target != nil {
		var goals []*engine.Node
		for _, key := range keys {
			goals = append(goals, copies[key])
		}
		return goals
	}
	fixed := func(_ context.Context, some func([]string) error) error { return some(keys) }
	return []*engine.Node{{ID: "write " + t.to.String(), Kind: "copy", Needs: made, Stage: t.stage(fixed)}}
}

// source opens what keys are copied from.
func (r *run) source(ctx context.Context, from place) (_ oras.ReadOnlyTarget, closeSource func() error, err error) {
	if from.archive == "" {
		repo, err := r.session.Repository(from.ref)
		return repo, func() error { return nil }, err
	}
	reader, err := archive.Open(ctx, from.archive)
	if err != nil {
		return nil, nil, err
	}
	if kind := reader.Legacy(); kind != "" {
		return nil, nil, errors.Join(&diag.Diagnostic{
			Message: fmt.Sprintf("--from %s is a %s of werf: what is in it is not kept under Slipway's keys, so no build would ever find it", from, kind),
			Advice:  "build the project in a repository and copy from there; a bundle's archive can be read by slipway bundle copy",
		}, reader.Close())
	}
	return &archived{reader, reader.Images()}, reader.Close, nil
}

// archived is an archive whose many tags are found at once.
type archived struct {
	*archive.Reader
	tags map[string]ocispec.Descriptor
}

// Resolve finds what a tag names.
func (a *archived) Resolve(ctx context.Context, tag string) (ocispec.Descriptor, error) {
	desc, ok := a.tags[tag]
	if !ok {
		return desc, &oci.Error{Op: "look up in the archive", Ref: tag, Err: errdef.ErrNotFound}
	}
	return desc, ctx.Err()
}

// place is where keys are: a repository or an archive.
type place struct {
	archive string // path; "" for a repository
	ref     oci.Reference
}

func parsePlace(flag, given string) (place, error) {
	const advice = "it can be HOST/REPO, archive:FILE or oci:DIR"
	if given == "" {
		return place{}, &diag.Diagnostic{Message: flag + " is missing", Advice: advice}
	}
	if file, ok := strings.CutPrefix(given, "archive:"); ok {
		if file == "" {
			return place{}, &diag.Diagnostic{Message: fmt.Sprintf("%s %s: there is no file name", flag, given), Advice: "write archive:FILE"}
		}
		return place{archive: file}, nil
	}
	ref, err := oci.ParseReference(strings.TrimPrefix(given, "docker://"))
	if err != nil {
		return place{}, &diag.Diagnostic{Message: fmt.Sprintf("%s: %v", flag, err), Advice: advice}
	}
	if ref.Tag != "" || ref.Digest != "" {
		return place{}, &diag.Diagnostic{Message: fmt.Sprintf("%s %s: a repository has no tag", flag, given), Advice: "write " + ref.Name()}
	}
	return place{ref: ref}, nil
}

func (p place) String() string {
	if p.archive != "" {
		return "archive:" + p.archive
	}
	return p.ref.String()
}

func (p place) same(other place) bool {
	where := func(p place) string {
		path := p.archive + p.ref.Dir // one of them at most
		if path == "" {
			return p.ref.Name()
		}
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
		return path
	}
	return where(p) == where(other)
}
