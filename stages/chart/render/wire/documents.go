package wire

import (
	"regexp"
	"strings"
)

// separator is Helm's: a line that begins a document, with the blanks around it.
var separator = regexp.MustCompile(`(?:^|\s*\n)---\s*`)

// Documents takes YAML documents apart as Helm does.
func Documents(text string) []string {
	var out []string
	for _, document := range separator.Split(strings.TrimSpace(text), -1) {
		if document != "" {
			out = append(out, strings.TrimSpace(document))
		}
	}
	return out
}
