package bundles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"slipway/oci"
	"slipway/oci/archive"
	"slipway/stages/bundle"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// origin is a place that a bundle is read from.
type origin interface {
	// chart finds the bundle's own manifest and the archive in it.
	chart(ctx context.Context) (published, error)
	// image finds an image that the chart names.
	image(ctx context.Context, image bundle.Image) (located, error)
	Close() error
}

// located is content and where it is.
type located struct {
	content.ReadOnlyStorage
	desc ocispec.Descriptor
}

// published is a bundle's chart as it is kept.
type published struct {
	located
	tag     string // "" if it has none
	archive []byte
}

func open(ctx context.Context, session *oci.Session, a address) (origin, error) {
	if a.isArchive() {
		r, err := archive.Open(ctx, a.archive)
		if err != nil {
			return nil, err
		}
		if r.Legacy() != "" {
			return &legacyOrigin{r}, nil
		}
		return &archiveOrigin{store{part{r}}, r}, nil
	}
	repo, err := session.Repository(a.ref)
	if err != nil {
		return nil, err
	}
	if a.ref.IsLayout() {
		return &layoutOrigin{store{repo}, a}, nil
	}
	return &registryOrigin{session, repo, a}, nil
}

// registryOrigin is a bundle in a registry; its images can be in any other.
type registryOrigin struct {
	session *oci.Session
	repo    oci.Repository
	at      address
}

func (o *registryOrigin) chart(ctx context.Context) (published, error) {
	return resolveChart(ctx, o.repo, o.at)
}

func (o *registryOrigin) image(ctx context.Context, image bundle.Image) (located, error) {
	repo, desc, err := o.session.Find(ctx, image.Ref.String())
	return located{repo, desc}, err
}

func (o *registryOrigin) Close() error { return nil }

// resolver is content with names.
type resolver interface {
	content.ReadOnlyStorage
	content.Resolver
}

// store holds a bundle together with all its images, whatever the chart calls
// the place they come from.
type store struct{ resolver }

func (s store) image(ctx context.Context, image bundle.Image) (located, error) {
	wanted := image.Ref.Digest
	if wanted == "" {
		if wanted = image.Ref.Tag; image.Kind == bundle.External {
			// A tag of somebody else's may name anything here.
			return located{}, fmt.Errorf("%s is not in here: take it along with --with-external-images when copying from a registry", image.Ref)
		}
	}
	desc, err := s.Resolve(ctx, wanted)
	if err != nil {
		return located{}, fmt.Errorf("looking for the image %s: %w", image.Ref, err)
	}
	return located{s, desc}, nil
}

type layoutOrigin struct {
	store
	at address
}

func (o *layoutOrigin) chart(ctx context.Context) (published, error) {
	return resolveChart(ctx, o.resolver, o.at)
}

func (o *layoutOrigin) Close() error { return nil }

func resolveChart(ctx context.Context, from resolver, at address) (published, error) {
	desc, err := from.Resolve(ctx, at.version())
	if err != nil {
		return published{}, err
	}
	return readChart(ctx, located{from, desc}, at.ref.Tag)
}

type archiveOrigin struct {
	store
	reader *archive.Reader
}

// chart is the one manifest of the index that is a chart's.
func (o *archiveOrigin) chart(ctx context.Context) (published, error) {
	var charts []published
	for _, desc := range o.reader.Index().Manifests {
		if oci.IsIndex(desc) {
			continue
		}
		p, err := readChart(ctx, located{o.resolver, desc}, desc.Annotations[ocispec.AnnotationRefName])
		if errors.Is(err, errNoChart) {
			continue
		}
		if err != nil {
			return published{}, err
		}
		charts = append(charts, p)
	}
	if len(charts) != 1 {
		return published{}, fmt.Errorf("the archive holds %d charts: a bundle is one", len(charts))
	}
	return charts[0], nil
}

func (o *archiveOrigin) Close() error { return o.reader.Close() }

// part tells what a missing blob of an archive means.
type part struct{ *archive.Reader }

// Fetch is the archive's.
func (p part) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := p.Reader.Fetch(ctx, desc)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, &oci.Error{Op: "read from the archive", Ref: desc.Digest.String(),
			Err: fmt.Errorf("%w; an archive made with --since goes only to where that bundle is: copy it there first", errdef.ErrNotFound)}
	}
	return rc, err
}

// legacyOrigin is an archive of werf 2: its images were repacked, so that the
// digests in its chart are of no use; the tags are.
type legacyOrigin struct{ *archive.Reader }

func (o *legacyOrigin) chart(context.Context) (published, error) {
	if len(o.Chart()) == 0 {
		return published{}, errors.New("the archive holds no chart: it is of stages, not of a bundle")
	}
	return published{archive: o.Chart()}, nil
}

func (o *legacyOrigin) image(ctx context.Context, image bundle.Image) (located, error) {
	desc, ok := o.Images()[image.Ref.Tag]
	if !ok {
		return located{}, fmt.Errorf("the archive lacks the image %s", image.Ref.Named())
	}
	return located{o.Reader, desc}, nil
}

var errNoChart = errors.New("not a chart")

// mediaTypeOldChart is what Helm before 3.7, and werf, call a chart's archive.
const mediaTypeOldChart = "application/tar+gzip"

// maxChart is what Helm lets a chart be, unpacked.
const maxChart = 100 << 20

// readChart reads a chart's manifest and archive.
func readChart(ctx context.Context, from located, tag string) (published, error) {
	var manifest ocispec.Manifest
	raw, err := fetchSmall(ctx, from, from.desc, 4<<20)
	if err != nil {
		return published{}, err
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return published{}, fmt.Errorf("manifest %s: %w", from.desc.Digest, err)
	}
	if manifest.Config.MediaType != oci.MediaTypeHelmConfig {
		return published{}, fmt.Errorf("%s is %w but %s", from.desc.Digest, errNoChart, manifest.Config.MediaType)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType == oci.MediaTypeHelmChart || layer.MediaType == mediaTypeOldChart {
			data, err := fetchSmall(ctx, from, layer, maxChart)
			return published{located: from, tag: tag, archive: data}, err
		}
	}
	return published{}, fmt.Errorf("the chart %s has no archive", from.desc.Digest)
}

func fetchSmall(ctx context.Context, from content.Fetcher, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that it may have", desc.Digest, desc.Size, limit)
	}
	return content.FetchAll(ctx, from, desc)
}
