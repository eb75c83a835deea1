package render

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway/stages/chart/render/wire"
)

// Text is the manifests as `helm template` prints them.
func Text(manifests []Manifest) string {
	var resources, hooks strings.Builder
	for _, m := range manifests {
		b := &resources
		if m.Hook {
			b = &hooks
		}
		fmt.Fprintf(b, "---\n# Source: %s\n%s\n", m.Path, m.Content)
	}
	return strings.TrimSpace(resources.String()) + "\n" + hooks.String()
}

// sourceLine is how Text says which template a document is of; the chart's name
// is not part of what people name it by.
var sourceLine = regexp.MustCompile(`# Source: [^/]+/(.+)`)

// Only is what `helm template --show-only` prints: of the manifests, those of
// the templates that the patterns (of path.Match) name by their paths in the
// chart, in the order of the patterns. A pattern that names nothing which
// renders something is an *Error.
func Only(manifests []Manifest, patterns []string) (string, error) {
	// Of the text, as Helm does it: a document without a line of its own that says
	// where it is from (the second one of a file of CRDs) is of no template.
	documents := wire.Documents(Text(manifests))
	var out strings.Builder
	for _, pattern := range patterns {
		missing := true
		for _, document := range documents {
			of := sourceLine.FindStringSubmatch(document)
			if of == nil {
				continue
			}
			if matched, err := path.Match(pattern, of[1]); err != nil {
				return "", &Error{Message: fmt.Sprintf("%q is no pattern of paths: %v", pattern, err)}
			} else if matched {
				fmt.Fprintf(&out, "---\n%s\n", document)
				missing = false
			}
		}
		if missing {
			return "", nothingShown(manifests, pattern)
		}
	}
	return out.String(), nil
}

func nothingShown(manifests []Manifest, pattern string) error {
	e := &Error{Message: fmt.Sprintf("%s renders nothing", pattern), Advice: "the chart renders nothing at all"}
	var names []string
	for _, m := range manifests {
		if _, name, _ := strings.Cut(m.Path, "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		e.Advice = "these do: " + strings.Join(names, ", ")
	}
	return e
}
