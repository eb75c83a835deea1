package render

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Images are the references of images that manifests name, each once, in their
// order: the text under every key "image", and under "reference" of an image
// volume. What custom resources call otherwise is not seen.
func Images(manifests []Manifest) ([]string, error) {
	var found []string
	for _, m := range manifests {
		d := yaml.NewDecoder(strings.NewReader(m.Content))
		for {
			var doc yaml.Node
			err := d.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.Path, err)
			}
			if kindOf(&doc) == "CustomResourceDefinition" {
				continue // its schema may have a property of that name
			}
			collect(&doc, 0, func(ref string) {
				if ref != "" && !slices.Contains(found, ref) {
					found = append(found, ref)
				}
			})
		}
	}
	return found, nil
}

// maxDepth bounds the walk: aliases of YAML can lead into themselves.
const maxDepth = 100

func collect(n *yaml.Node, depth int, add func(string)) {
	if depth > maxDepth {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			collect(c, depth+1, add)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "image" && value.Kind == yaml.ScalarNode && value.Tag == "!!str" {
			add(value.Value)
			continue
		}
		if key.Value == "image" && value.Kind == yaml.MappingNode {
			if ref := child(value, "reference"); ref != nil && ref.Kind == yaml.ScalarNode {
				add(ref.Value)
				continue
			}
		}
		// What a ConfigMap or Secret holds is text, whatever its keys are.
		if key.Value == "data" || key.Value == "stringData" {
			continue
		}
		collect(value, depth+1, add)
	}
}

func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func kindOf(doc *yaml.Node) string {
	if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
		if kind := child(doc.Content[0], "kind"); kind != nil {
			return kind.Value
		}
	}
	return ""
}
