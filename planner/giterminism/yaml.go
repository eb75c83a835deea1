package giterminism

import (
	"bytes"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// decodeNodes gives the values of text's documents; those without one are left
// out.
func decodeNodes(text []byte) (roots []*yaml.Node, err error) {
	documents, err := yamlnode.Decode(text)
	for _, document := range documents {
		if root := document.Content[0]; !yamlnode.IsNull(root) {
			roots = append(roots, root)
		}
	}
	return roots, err
}

var yamlPrefix = regexp.MustCompile(`^yaml: (line \d+: )?`)

// syntaxError is the diagnostic of text that is not YAML. yaml.v3 tells no
// column and often the wrong line, but it reads from left to right: the mistake
// is where the shortest beginning ends that already gives the same message.
func (p *parser) syntaxError(text []byte, err error) *diag.Diagnostic {
	message := yamlPrefix.ReplaceAllString(err.Error(), "")
	end := 1 + sort.Search(len(text), func(n int) bool {
		_, err := decodeNodes(text[:n+1])
		return err != nil && yamlPrefix.ReplaceAllString(err.Error(), "") == message
	})
	at := min(end, len(text)) - 1
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	if strings.HasPrefix(message, "unknown anchor") {
		at = max(0, bytes.LastIndexByte(text[:end], '*'))
	}
	d := p.source.Offset(text, at).Errorf("this is not YAML: %s", message)
	switch {
	case strings.Contains(message, "tab character"), text[at] == '\t':
		d.Advise("indent with spaces: YAML allows no tabs there")
	case strings.Contains(message, "cannot start any token"):
		d.Advise("put the value in quotes")
	case strings.Contains(message, "unexpected end of stream"):
		d.Advise("close the quote")
	case strings.Contains(message, "alphabetic or numeric"), strings.Contains(message, "unknown anchor"):
		d.Advise("put text that begins with * or & in quotes")
	case strings.Contains(message, "did not find expected"), strings.Contains(message, "could not find expected"):
		d.Advise("check the quotes, and the indentation against the lines above")
	}
	return d
}

// field is a key of a mapping with its value, aliases resolved.
type field struct {
	key   string
	value *yaml.Node
	keyAt diag.Pos
	at    diag.Pos // of the value, or of the alias that stands for it
}

func (p *parser) pos(n *yaml.Node) diag.Pos { return p.source.Pos(n.Line, n.Column) }

// fields is the fields of a mapping in file order. A key that is given twice is
// told, and its second value left out.
func (p *parser) fields(n *yaml.Node) []field {
	var out []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyAt, key := p.pos(n.Content[i]), yamlnode.Resolve(n.Content[i])
		twice := slices.IndexFunc(out, func(f field) bool { return f.key == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode:
			p.errs.Add(keyAt.Errorf("a key must be text, found %s", yamlnode.Describe(key)))
		case key.ShortTag() == "!!merge":
			p.errs.Add(keyAt.Errorf("<< is not supported here").Advise("write the keys themselves"))
		case twice >= 0:
			p.errs.Add(keyAt.Errorf("key %q is given twice, first on line %d", key.Value, out[twice].keyAt.Line).
				Advise("write both values under one of them"))
		default:
			value := n.Content[i+1]
			out = append(out, field{key.Value, yamlnode.Resolve(value), keyAt, p.pos(value)})
		}
	}
	return out
}

func plainText(n *yaml.Node) (string, bool) {
	return n.Value, n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
}
