package bundle

import (
	"fmt"
	"slices"
	"strings"

	"slipway/stages/chart"

	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// document is one values.yaml.
type document struct {
	file    *loader.BufferedFile
	chart   string // path of the chart in the bundle
	root    *yaml.Node
	entries []*entry
	repos   []*yaml.Node // scalars that name the repository of images
}

// entry is an image in service values, with the scalars that tell of it.
type entry struct {
	Image
	doc    *document
	ref    *yaml.Node            // REPO:TAG
	tag    *yaml.Node            // TAG
	fields map[string]*yaml.Node // see chart.Image.Fields
}

func readDocument(file *loader.BufferedFile, at string) (*document, error) {
	d := &document{file: file, chart: at}
	var root yaml.Node
	if err := yaml.Unmarshal(file.Data, &root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return d, nil // an empty file
	}
	d.root = root.Content[0]
	werf, global := lookup(d.root, "werf"), lookup(d.root, "global", "werf")
	byName := map[string]*entry{}
	of := func(name string) *entry {
		if byName[name] == nil {
			byName[name] = &entry{doc: d, Image: Image{Kind: Own, Name: name, Chart: at}}
			d.entries = append(d.entries, byName[name])
		}
		return byName[name]
	}
	for name, node := range scalars(lookup(werf, "image")) {
		e := of(name)
		e.ref, e.Ref = node, ParseRef(node.Value)
	}
	for name, node := range scalars(lookup(werf, "tag")) {
		if byName[name] != nil {
			of(name).tag = node
		}
	}
	for name, node := range pairs(lookup(global, "images")) {
		fields := map[string]*yaml.Node{}
		for key, value := range scalars(node) {
			fields[key] = value
		}
		if fields["image"] == nil {
			continue
		}
		e := of(name)
		e.fields = fields
		if e.ref == nil {
			e.Ref = Ref{Repo: fields["image"].Value}
			if fields["tag"] != nil {
				e.Ref.Tag = fields["tag"].Value
			}
		}
		if fields["digest"] != nil {
			e.Ref.Digest = fields["digest"].Value
		}
	}
	if node := lookup(werf, "nameless_image"); isText(node) {
		d.entries = append(d.entries, &entry{doc: d, ref: node, Image: Image{Kind: Nameless, Chart: at, Ref: ParseRef(node.Value)}})
	}
	slices.SortStableFunc(d.entries, func(a, b *entry) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range []*yaml.Node{werf, global} {
		if node := lookup(m, "repo"); isText(node) {
			d.repos = append(d.repos, node)
		}
	}
	for _, e := range d.entries {
		if e.Ref.Repo == "" {
			return nil, fmt.Errorf("line %d: the image %q has no reference", e.line(), e.Name)
		}
	}
	return d, nil
}

func (e *entry) line() int {
	if e.ref != nil {
		return e.ref.Line
	}
	return e.fields["image"].Line
}

// rewrite makes the entry tell of ref, in the fields that it has.
func (e *entry) rewrite(edits *edits, ref Ref) {
	if e.ref != nil {
		edits.set(e.doc.file, e.ref, ref.Named())
	}
	if e.tag != nil {
		edits.set(e.doc.file, e.tag, ref.Tag)
	}
	now := chart.Image{Name: e.Name, Repo: ref.Repo, Tag: ref.Tag, Digest: ref.Digest}.Fields()
	for key, node := range e.fields {
		if text, ok := now[key].(string); ok {
			edits.set(e.doc.file, node, text)
		}
	}
}

// lookup follows keys through mappings; nil if one is not there.
func lookup(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var next *yaml.Node
		for name, value := range pairs(n) {
			if name == key {
				next = value
			}
		}
		n = next
	}
	return n
}

// pairs are the entries of a mapping; none of anything else.
func pairs(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := n.Content[i+1]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			if !yield(n.Content[i].Value, value) {
				return
			}
		}
	}
}

// scalars are the entries of a mapping that are text.
func scalars(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for name, value := range pairs(n) {
			if isText(value) && !yield(name, value) {
				return
			}
		}
	}
}

func isText(n *yaml.Node) bool { return n != nil && n.Kind == yaml.ScalarNode }
