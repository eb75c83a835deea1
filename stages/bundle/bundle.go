// Package bundle reads published bundles: it finds the images that a bundle's
// chart names, in its own service values, in those of its sub-charts and among
// what it renders, and rewrites the chart so that it names them in another
// place. A bundle is text to it: what is not rewritten keeps its bytes.
//
// It must never know registries, archives or how an image gets anywhere.
package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/stages/chart"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

// Bundle is a published chart. Its methods do not change it.
type Bundle struct {
	Metadata *helm.Metadata
	files    *pack
	docs     []*document // every values.yaml, the chart's own first
	external map[string]string
}

// Kind says how a chart comes to name an image.
type Kind string

// The kinds of images.
const (
	Own      Kind = "image"    // of the project: in the service values, by name
	Nameless Kind = "nameless" // the project's image without a name
	External Kind = "external" // of somebody else, in the values, recorded by a copy
)

// Image is an image that a chart names.
type Image struct {
	Kind  Kind
	Name  string // in werf.yaml; for External, what the chart's author wrote; "" for Nameless
	Chart string // the sub-chart that names it, as charts/sub; "" for the bundle's own
	Ref   Ref
}

// externalAnnotation records, in Chart.yaml, which references in the values were
// rewritten by copies that take external images along: a JSON object of what the
// author wrote to what stands there now.
const externalAnnotation = "slipway/external-images"

// Read reads the archive of a chart (the layer of its manifest).
func Read(archive []byte) (*Bundle, error) {
	files, err := readPack(archive)
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	b := &Bundle{Metadata: new(helm.Metadata), files: files}
	meta := files.find("Chart.yaml")
	if meta == nil {
		return nil, fmt.Errorf("reading the chart: it has no Chart.yaml")
	}
	if err := yaml.Unmarshal(meta.Data, b.Metadata); err != nil {
		return nil, fmt.Errorf("reading the chart: Chart.yaml: %w", err)
	}
	if b.docs, err = files.documents(""); err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", b.Metadata.Name, err)
	}
	if text := b.Metadata.Annotations[externalAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &b.external); err != nil {
			return nil, fmt.Errorf("reading chart %s: annotation %s: %w", b.Metadata.Name, externalAnnotation, err)
		}
	}
	return b, nil
}

// Chart is the bundle as Helm loads it, anew each time: rendering changes it.
func (b *Bundle) Chart() (*helm.Chart, error) {
	archive, err := chart.WriteArchive(b.Metadata.Name, b.files.files)
	if err != nil {
		return nil, err
	}
	return loader.LoadArchive(bytes.NewReader(archive))
}

// Values is the text of the chart's own values.yaml.
func (b *Bundle) Values() []byte {
	if f := b.files.find(valuesFile); f != nil {
		return f.Data
	}
	return nil
}

// Images are the images that the chart names, in the order of chart and name.
// The same image can be named more than once.
func (b *Bundle) Images() []Image {
	var out []Image
	for _, d := range b.docs {
		for _, e := range d.entries {
			out = append(out, e.Image)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.external)) {
		out = append(out, Image{Kind: External, Name: name, Ref: ParseRef(b.external[name])})
	}
	return out
}

// Changes are what a Rewrite does.
type Changes struct {
	// Name and Version are the chart's new ones; "" keeps what it has.
	Name, Version string
	// Repo is .Values.werf.repo; "" keeps it.
	Repo string
	// Place says where an image is now, digest included.
	Place func(Image) (Ref, error)
	// External are references that values get replaced in, by what stands there.
	// They are recorded, and are the bundle's images from then on.
	External map[string]Ref
}

// Rewrite is the bundle with other names, packed: files that nothing changes in
// keep their bytes, and values theirs but for the references.
func (b *Bundle) Rewrite(c Changes) (*chart.Package, error) {
	edits := newEdits()
	for _, d := range b.docs {
		for _, e := range d.entries {
			ref, err := c.Place(e.Image)
			if err != nil {
				return nil, err
			}
			e.rewrite(edits, ref)
		}
		for _, node := range d.repos {
			if c.Repo != "" {
				edits.set(d.file, node, c.Repo)
			}
		}
	}
	record, err := b.rewriteExternal(edits, c)
	if err != nil {
		return nil, err
	}
	texts, err := edits.apply()
	if err != nil {
		return nil, fmt.Errorf("rewriting chart %s: %w", b.Metadata.Name, err)
	}
	meta := *b.Metadata
	if c.Name != "" {
		meta.Name = c.Name
	}
	if c.Version != "" {
		meta.Version = c.Version
	}
	if len(record) > 0 {
		text, err := json.Marshal(record)
		if err != nil {
			return nil, err
		}
		meta.Annotations = maps.Clone(meta.Annotations)
		if meta.Annotations == nil {
			meta.Annotations = map[string]string{}
		}
		meta.Annotations[externalAnnotation] = string(text)
	}
	chartYAML, err := yaml.Marshal(&meta)
	if err != nil {
		return nil, err
	}
	texts[b.files.find("Chart.yaml")] = chartYAML
	files, err := b.files.with(texts)
	if err != nil {
		return nil, err
	}
	return chart.Pack(&meta, files)
}

// Ref is a reference as charts have it: REPO, maybe :TAG, maybe @DIGEST. It need
// not name a registry.
type Ref struct{ Repo, Tag, Digest string }

// ParseRef takes a reference apart; any text is one.
func ParseRef(s string) Ref {
	var r Ref
	s, r.Digest, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		s, r.Tag = s[:i], s[i+1:]
	}
	r.Repo = s
	return r
}

// Named is the reference without its digest.
func (r Ref) Named() string {
	if r.Tag == "" {
		return r.Repo
	}
	return r.Repo + ":" + r.Tag
}

func (r Ref) String() string {
	if r.Digest == "" {
		return r.Named()
	}
	return r.Named() + "@" + r.Digest
}
