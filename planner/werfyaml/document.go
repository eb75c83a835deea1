package werfyaml

import (
	"bytes"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// document is a part of the file that is parsed by itself, so that a syntax
// error in one does not hide what is wrong in the others.
type document struct {
	text []byte
	line int // how many lines are before it
}

// splitDocuments cuts the file before each line that begins a YAML document:
// "---" and then nothing, a blank or a tab. Such a line cannot be part of any
// scalar, so no parsing is needed to find them.
func splitDocuments(text []byte) []document {
	var docs []document
	start, startLine, line := 0, 0, 0
	for i := 0; i < len(text); line++ {
		if i > start && startsDocument(text[i:]) {
			docs = append(docs, document{text[start:i], startLine})
			start, startLine = i, line
		}
		end := bytes.IndexByte(text[i:], '\n')
		if end < 0 {
			break
		}
		i += end + 1
	}
	return append(docs, document{text[start:], startLine})
}

func startsDocument(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// decode gives the roots of a document: one, none when it is empty, more when
// it has "..." lines. Those before a syntax error are given with it.
func (p *parser) decode(d document) ([]*yaml.Node, *diag.Diagnostic) {
	documents, err := yamlnode.Decode(d.text)
	var roots []*yaml.Node
	for _, document := range documents {
		shift(document, d.line)
		roots = append(roots, document.Content[0])
	}
	if err != nil {
		return roots, p.syntaxError(d, err)
	}
	return roots, nil
}

// shift makes the lines of a document those of the file. An alias points to a
// node that is shifted where it stands.
func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, child := range n.Content {
		shift(child, lines)
	}
}
