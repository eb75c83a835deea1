package secret

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// leaf is a scalar value of a document, not a key.
type leaf struct {
	*yaml.Node
	path  string // for people, "users[0].name"
	place string // the same without the positions in lists, "users[].name"
}

// parse reads a file of values: one document with a mapping, or nothing, which is
// a nil node.
func parse(text []byte) (document *yaml.Node, err error) {
	// The library panics on its own errors and recovers from those only.
	defer func() {
		if r := recover(); r != nil {
			document, err = nil, &Error{Message: "no YAML"}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	document = &yaml.Node{}
	if err := decoder.Decode(document); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, syntax(err)
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode && !isNull(root) {
		e := at(root, "", "a file of values must be a mapping", "")
		if _, err := decode([]byte(root.Value)); err == nil {
			e.Advice = "this is an encrypted file: use secret file instead of secret values"
		}
		return nil, e
	}
	var next yaml.Node
	if err := decoder.Decode(&next); err == nil {
		return nil, at(&next, "", "a second document begins here", "a file of values has one")
	} else if err != io.EOF {
		return nil, syntax(err)
	}
	return document, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// leaves lists the values of a document that are encrypted: all scalars but keys
// and nulls. What an alias stands for is listed once, where its anchor is.
func leaves(document *yaml.Node) []leaf {
	var list []leaf
	var walk func(n *yaml.Node, path, place string)
	walk = func(n *yaml.Node, path, place string) {
		switch n.Kind {
		case yaml.DocumentNode:
			for _, c := range n.Content {
				walk(c, path, place)
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i].Value
				if path != "" {
					key = "." + key
				}
				walk(n.Content[i+1], path+key, place+key)
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, path+"["+strconv.Itoa(i)+"]", place+"[]")
			}
		case yaml.ScalarNode:
			if !isNull(n) {
				list = append(list, leaf{n, path, place})
			}
		}
	}
	if document != nil {
		walk(document, "", "")
	}
	return list
}

// duplicates finds keys that a mapping has twice, of which YAML parsers take one
// or none.
func duplicates(n *yaml.Node) Errors {
	var errs Errors
	if n.Kind == yaml.MappingNode {
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				continue
			}
			name := key.ShortTag() + " " + key.Value
			if line, ok := first[name]; ok {
				errs = append(errs, at(key, key.Value, fmt.Sprintf("the key is here a second time, first in line %d", line), "remove one of them"))
				continue
			}
			first[name] = key.Line
		}
	}
	for _, c := range n.Content {
		errs = append(errs, duplicates(c)...)
	}
	return errs
}

// marshal writes a document, two spaces per level as werf does.
func marshal(document *yaml.Node) ([]byte, error) {
	mend(document, false)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return b.Bytes(), nil
}

// mend changes what the library would print as something else: "<<" as "!!merge
// <<", and the absent value of {key} as an empty string.
func mend(n *yaml.Node, flow bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		n.Tag = ""
	case flow && isNull(n) && n.Value == "":
		n.Value = "null"
	}
	for _, c := range n.Content {
		mend(c, flow || n.Style&yaml.FlowStyle != 0)
	}
}

// set gives a scalar another text, which is a string whatever it looks like. Its
// comments and its anchor stay, and its quotes.
func set(n *yaml.Node, text string) error {
	var s yaml.Node
	if err := s.Encode(text); err != nil { // quotes what YAML 1.1 takes for something else
		return fmt.Errorf("writing YAML: %w", err)
	}
	style := s.Style
	switch quotes := n.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle); {
	case style == yaml.LiteralStyle && strings.ContainsRune(" \t\n", rune(text[0])):
		style = yaml.DoubleQuotedStyle // the library loses white space at the start of a block
	case style != yaml.LiteralStyle && quotes != 0:
		style = quotes
	}
	n.Tag, n.Value, n.Style = "!!str", text, style
	return nil
}
