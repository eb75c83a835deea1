package bundle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// rewriteExternal edits the references to images of others in all values, and
// returns the record of them.
func (b *Bundle) rewriteExternal(edits *edits, c Changes) (map[string]string, error) {
	record := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(b.external)) {
		ref, err := c.Place(Image{Kind: External, Name: name, Ref: ParseRef(b.external[name])})
		if err != nil {
			return nil, err
		}
		if err := b.replaceRef(edits, b.external[name], ref); err != nil {
			return nil, err
		}
		record[name] = ref.String()
	}
	for _, name := range slices.Sorted(maps.Keys(c.External)) {
		if err := b.replaceRef(edits, name, c.External[name]); err != nil {
			return nil, err
		}
		record[name] = c.External[name].String()
	}
	return record, nil
}

// replaceRef edits every value that gives the image old: a text that is the
// reference, or a mapping whose parts are.
func (b *Bundle) replaceRef(edits *edits, old string, now Ref) error {
	found := false
	for _, d := range b.docs {
		r := replacement{edits: edits, file: d.file, old: ParseRef(old), now: now}
		r.walk(d.root, "", 0)
		found = found || r.found
	}
	if !found {
		return fmt.Errorf("no value of chart %s gives the image %s, so it stands in a template, where it cannot be rewritten: make it a value, as image: %s, and use that in the template", b.Metadata.Name, old, old)
	}
	return nil
}

type replacement struct {
	edits    *edits
	file     *loader.BufferedFile
	old, now Ref
	found    bool
}

const maxDepth = 100

func (r *replacement) walk(n *yaml.Node, key string, depth int) {
	if n == nil || depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.ScalarNode:
		// A mere word can be anything, but for what is called an image.
		word := !strings.ContainsAny(n.Value, ":/@") && !strings.HasSuffix(strings.ToLower(key), "image")
		if !word && ParseRef(n.Value).Same(r.old) {
			r.found = true
			r.edits.set(r.file, n, r.now.String())
		}
	case yaml.MappingNode:
		if !r.parts(n) {
			for name, value := range pairs(n) {
				if depth > 1 || name != "werf" { // service values are rewritten by themselves
					r.walk(value, name, depth+1)
				}
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			r.walk(item, key, depth+1)
		}
	}
}

// parts handles the common way to give an image in pieces: repository and tag,
// often with a registry or a digest of its own. An empty tag stands for the
// chart's appVersion.
func (r *replacement) parts(n *yaml.Node) bool {
	registry, tag, digest := lookup(n, "registry"), lookup(n, "tag"), lookup(n, "digest")
	var repository *yaml.Node
	for _, key := range []string{"repository", "name", "image"} {
		if repository = lookup(n, key); isText(repository) {
			break
		}
	}
	if !isText(repository) || !isText(tag) {
		return false
	}
	given := ParseRef(repository.Value)
	if isText(registry) && registry.Value != "" {
		given.Repo = registry.Value + "/" + given.Repo
	}
	given.Tag, given.Digest, _ = strings.Cut(tag.Value, "@")
	if isText(digest) && digest.Value != "" {
		given.Digest = digest.Value
	}
	if given.Tag == "" {
		given.Tag = r.old.Tag
	}
	if !given.Same(r.old) {
		return false
	}
	r.found = true
	repo := r.now.Repo
	if isText(registry) {
		host, rest, _ := strings.Cut(repo, "/")
		r.edits.set(r.file, registry, host)
		repo = rest
	}
	r.edits.set(r.file, repository, repo)
	r.edits.set(r.file, tag, r.now.Tag) // without a digest: charts make labels of tags
	if isText(digest) {
		r.edits.set(r.file, digest, r.now.Digest)
	}
	return true
}

// Same tells whether two references are of one image, however Docker Hub is
// written. A digest that only one of them has does not tell them apart.
func (r Ref) Same(other Ref) bool {
	if r.Digest != "" && other.Digest != "" && r.Digest != other.Digest {
		return false
	}
	return normal(r) == normal(other)
}

func normal(r Ref) string {
	for _, hub := range []string{"index.docker.io/", "registry-1.docker.io/", "docker.io/", "library/"} {
		r.Repo = strings.TrimPrefix(r.Repo, hub)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r.Named()
}
