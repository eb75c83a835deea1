// Package yamlnode is what strict readers of YAML files share: parsing into nodes,
// which keep positions, and what a node is in the words of an error.
//
// It must never know any file's keys, nor make diagnostics: advice depends on the
// file.
package yamlnode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Decode parses text with yaml.v3, which bounds the depth of nesting and, as long
// as it gives nodes, expands no alias. Documents without content are left out;
// those before a syntax error are given with it.
func Decode(text []byte) (documents []*yaml.Node, err error) {
	// The library panics on its own errors and recovers from those only.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		document := &yaml.Node{}
		if err := decoder.Decode(document); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return documents, err
		}
		if len(document.Content) > 0 {
			documents = append(documents, document)
		}
	}
}

// Resolve is the node that an alias stands for. An anchor is never on an alias, so
// one step is all.
func Resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// IsNull tells whether a key has no value.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// Untyped YAML 1.1 booleans. yaml.v3 takes most of them for text, but the files
// were written for a YAML 1.1 parser.
var (
	yes = []string{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"}
	no  = []string{"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"}
)

// Boolean reads a scalar that YAML 1.1 takes for a boolean.
func Boolean(n *yaml.Node) (value, ok bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Style != 0 && n.ShortTag() != "!!bool":
		return false, false
	case slices.Contains(yes, n.Value):
		return true, true
	}
	return false, slices.Contains(no, n.Value)
}

// Describe says what a value, not an alias, is: for "must be…, found…".
func Describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!null":
		return "no value"
	case "!!bool":
		return "the boolean " + n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!str", "!!merge", "!!timestamp":
		return fmt.Sprintf("the text %.60q", n.Value)
	}
	return fmt.Sprintf("a value with the tag %.60q", n.ShortTag())
}

// InvalidUTF8 is the offset of the first byte that is not UTF-8, -1 if there is
// none.
func InvalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
