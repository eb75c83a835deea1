package werfyaml

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// section is one YAML document of the file that is a mapping.
type section struct {
	*parser
	root   *yaml.Node // nil for an empty document
	pos    diag.Pos   // of its first key
	fields []field
	at     map[string]diag.Pos // where the values are that were read, by path
	// targets are the build arguments that imports set, in file order.
	targets []target
}

// field is a key of a mapping with its value, aliases resolved.
type field struct {
	key   string
	path  string // with the keys that it is under: "deploy.namespace", "secrets[0].id"
	value *yaml.Node
	keyAt diag.Pos
	at    diag.Pos // of the value, or of the alias that stands for it
}

func (p *parser) newSection(root *yaml.Node) *section {
	s := &section{parser: p, pos: p.nodePos(root), at: map[string]diag.Pos{}}
	if yamlnode.IsNull(root) {
		return s
	}
	if root.Kind != yaml.MappingNode {
		p.errs.Add(s.pos.Errorf("a section must be a mapping of keys to values, found %s", yamlnode.Describe(root)))
		return s
	}
	s.root, s.fields = root, p.mapping(root, "")
	return s
}

func (p *parser) nodePos(n *yaml.Node) diag.Pos { return p.source.Pos(n.Line, n.Column) }

func (s *section) has(key string) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool { return f.key == key })
}

// hasAny is for classification.
func (s *section) hasAny(keys []string) bool {
	return slices.ContainsFunc(keys, s.has)
}

// mapping is the fields of a mapping node in file order, then those merged in
// with "<<"; the prefix is put before their keys to make their paths. It tells
// keys that are given twice, and leaves out the second.
func (p *parser) mapping(n *yaml.Node, prefix string) []field {
	m := merger{parser: p, prefix: prefix, seen: map[string]diag.Pos{}, visited: map[*yaml.Node]bool{}}
	m.add(n)
	return m.fields
}

// merger flattens a mapping and what it merges. Adding one mapping twice
// changes nothing, so each is visited once: merges that multiply, or go in a
// circle, end.
type merger struct {
	*parser
	prefix  string
	fields  []field
	seen    map[string]diag.Pos
	visited map[*yaml.Node]bool
}

// submapping is the fields of a key that wants a mapping. It is not ok when the
// key has no value, or has another, which it tells.
func (s *section) submapping(f field) (fields []field, ok bool) {
	if yamlnode.IsNull(f.value) {
		return nil, false
	}
	if f.value.Kind != yaml.MappingNode {
		s.errs.Add(f.at.Errorf("%q must be a mapping of keys to values, found %s", f.path, yamlnode.Describe(f.value)))
		return nil, false
	}
	return s.mapping(f.value, f.path+"."), true
}

// items are the values of a key that wants a list, as fields whose paths end
// with their index; none when it has no value.
func (s *section) items(f field) []field {
	if yamlnode.IsNull(f.value) {
		return nil
	}
	if f.value.Kind != yaml.SequenceNode {
		s.errs.Add(f.at.Errorf("%q must be a list, found %s", f.path, yamlnode.Describe(f.value)).
			Advise("a list is written [a, b], or with a line and a hyphen for each element"))
		return nil
	}
	var items []field
	for i, node := range f.value.Content {
		at := s.nodePos(node)
		item := field{f.key, fmt.Sprintf("%s[%d]", f.path, i), yamlnode.Resolve(node), at, at}
		if yamlnode.IsNull(item.value) {
			s.errs.Add(at.Errorf("%q has no value", item.path))
			continue
		}
		s.at[item.path] = at
		items = append(items, item)
	}
	return items
}

// oneKey is for a key that has two spellings: it reads one of them.
func (s *section) oneKey(advice string, read func(field)) func(field) {
	var first *field
	return func(f field) {
		if first != nil {
			s.errs.Add(f.keyAt.Errorf("%s and %s are one key; the other is on line %d", first.key, f.key, first.keyAt.Line).
				Advise("%s", advice))
			return
		}
		first = &f
		read(f)
	}
}

// oneOrMore is for a key that wants one value or a list of them.
func (s *section) oneOrMore(f field) []field {
	if yamlnode.IsNull(f.value) || f.value.Kind == yaml.SequenceNode {
		return s.items(f)
	}
	return []field{f}
}

func (m *merger) add(n *yaml.Node) {
	if m.visited[n] {
		return
	}
	m.visited[n] = true
	own := map[string]diag.Pos{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, valueNode := n.Content[i], n.Content[i+1]
		keyAt, key := m.nodePos(keyNode), yamlnode.Resolve(keyNode)
		if key.Kind != yaml.ScalarNode {
			m.errs.Add(keyAt.Errorf("a key must be text, found %s", yamlnode.Describe(key)))
			continue
		}
		if key.ShortTag() == "!!merge" {
			merges = append(merges, valueNode)
			continue
		}
		if first, twice := own[key.Value]; twice {
			m.errs.Add(keyAt.Errorf("key %q is given twice, first on line %d", key.Value, first.Line))
			continue
		}
		own[key.Value] = keyAt
		// What is nearer to the mapping that merges has won already.
		if _, won := m.seen[key.Value]; won {
			continue
		}
		m.seen[key.Value] = keyAt
		m.fields = append(m.fields, field{key.Value, m.prefix + key.Value, yamlnode.Resolve(valueNode), keyAt, m.nodePos(valueNode)})
	}
	for _, value := range merges {
		m.merge(value)
	}
}

func (m *merger) merge(value *yaml.Node) {
	n := yamlnode.Resolve(value)
	switch n.Kind {
	case yaml.MappingNode:
		m.add(n)
		return
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if mapping := yamlnode.Resolve(item); mapping.Kind == yaml.MappingNode {
				m.add(mapping)
			} else {
				m.errs.Add(m.nodePos(item).Errorf("only mappings can be merged with <<, found %s", yamlnode.Describe(mapping)))
			}
		}
		return
	}
	m.errs.Add(m.nodePos(value).Errorf("<< needs a mapping or a list of mappings, found %s", yamlnode.Describe(n)))
}
