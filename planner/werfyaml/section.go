package werfyaml

import (
	"slices"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
)

// section is one YAML document of the file that is a mapping.
type section struct {
	*parser
	root   *yaml.Node // nil for an empty document
	pos    diag.Pos   // of its first key
	fields []field
	// typos are the known keys that unknown ones were probably meant to be;
	// telling that those are missing would only repeat it.
	typos map[string]bool
}

// field is a key of a mapping with its value, aliases resolved.
type field struct {
	key   string
	value *yaml.Node
	keyAt diag.Pos
	at    diag.Pos // of the value, or of the alias that stands for it
}

func (p *parser) newSection(root *yaml.Node) *section {
	s := &section{parser: p, pos: p.nodePos(root), typos: map[string]bool{}}
	if isNull(root) {
		return s
	}
	if root.Kind != yaml.MappingNode {
		p.errs.Add(s.pos.Errorf("a section must be a mapping of keys to values, found %s", describe(root)))
		return s
	}
	s.root, s.fields = root, p.mapping(root)
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
// with "<<". It tells keys that are given twice, and leaves out the second.
func (p *parser) mapping(n *yaml.Node) []field {
	m := merger{parser: p, seen: map[string]diag.Pos{}, visited: map[*yaml.Node]bool{}}
	m.add(n)
	return m.fields
}

// merger flattens a mapping and what it merges. Adding one mapping twice
// changes nothing, so each is visited once: merges that multiply, or go in a
// circle, end.
type merger struct {
	*parser
	fields  []field
	seen    map[string]diag.Pos
	visited map[*yaml.Node]bool
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
		keyAt, key := m.nodePos(keyNode), resolve(keyNode)
		if key.Kind != yaml.ScalarNode {
			m.errs.Add(keyAt.Errorf("a key must be text, found %s", describe(key)))
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
		m.fields = append(m.fields, field{key.Value, resolve(valueNode), keyAt, m.nodePos(valueNode)})
	}
	for _, value := range merges {
		m.merge(value)
	}
}

func (m *merger) merge(value *yaml.Node) {
	n := resolve(value)
	switch n.Kind {
	case yaml.MappingNode:
		m.add(n)
		return
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if mapping := resolve(item); mapping.Kind == yaml.MappingNode {
				m.add(mapping)
			} else {
				m.errs.Add(m.nodePos(item).Errorf("only mappings can be merged with <<, found %s", describe(mapping)))
			}
		}
		return
	}
	m.errs.Add(m.nodePos(value).Errorf("<< needs a mapping or a list of mappings, found %s", describe(n)))
}

// resolve is the node that an alias stands for. An anchor is never on an alias,
// so one step is all.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
