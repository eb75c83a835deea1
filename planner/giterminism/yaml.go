package giterminism

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
)

// decodeNodes parses text with yaml.v3, which bounds the depth of nesting and,
// as long as it gives nodes, expands no alias. Documents without a value are
// left out; those before a syntax error are given with it.
func decodeNodes(text []byte) (roots []*yaml.Node, err error) {
	// The library panics on its own errors and recovers from those only.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		root := &yaml.Node{}
		if err := decoder.Decode(root); errors.Is(err, io.EOF) {
			return roots, nil
		} else if err != nil {
			return roots, err
		}
		if len(root.Content) > 0 && !isNull(root.Content[0]) {
			roots = append(roots, root.Content[0])
		}
	}
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
		keyAt, key := p.pos(n.Content[i]), resolve(n.Content[i])
		twice := slices.IndexFunc(out, func(f field) bool { return f.key == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode:
			p.errs.Add(keyAt.Errorf("a key must be text, found %s", describe(key)))
		case key.ShortTag() == "!!merge":
			p.errs.Add(keyAt.Errorf("<< is not supported here").Advise("write the keys themselves"))
		case twice >= 0:
			p.errs.Add(keyAt.Errorf("key %q is given twice, first on line %d", key.Value, out[twice].keyAt.Line).
				Advise("write both values under one of them"))
		default:
			value := n.Content[i+1]
			out = append(out, field{key.Value, resolve(value), keyAt, p.pos(value)})
		}
	}
	return out
}

// resolve is the node that an alias stands for. An anchor is never on an alias,
// so one step is all.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// boolean reads a scalar that YAML 1.1, for which the files were written, takes
// for a boolean. yaml.v3 takes most of the words for text.
func boolean(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 && n.ShortTag() != "!!bool" {
		return false, false
	}
	switch n.Value {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE":
		return true, true
	case "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

func plainText(n *yaml.Node) (string, bool) {
	return n.Value, n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
}

// describe says what a value, not an alias, is: for "must be…, found…".
func describe(n *yaml.Node) string {
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

func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
