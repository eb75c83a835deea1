package diag

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Source is a file's text, from which diagnostics take their offending line.
// Lines end with LF or CR LF.
type Source struct {
	file  string
	lines []string
}

// NewSource keeps the text of the file that people know by the given name.
// Bytes that are not UTF-8 become U+FFFD.
func NewSource(file string, text []byte) *Source {
	lines := strings.Split(string(bytes.ToValidUTF8(text, []byte("\uFFFD"))), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return &Source{file: file, lines: lines}
}

// Pos is the position at a line and a column in characters, both 1-based and
// both 0 for the file as a whole.
func (s *Source) Pos(line, column int) Pos {
	return Pos{Line: line, Column: column, source: s}
}

// Offset is the position of the byte at offset in text, which is the text that
// the source was made of.
func (s *Source) Offset(text []byte, offset int) Pos {
	before := text[:min(max(offset, 0), len(text))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return s.Pos(1+bytes.Count(before, []byte("\n")), 1+utf8.RuneCount(before[start:]))
}

// Pos is a place in a Source. The zero Pos is no place at all: its diagnostics
// have a message only.
type Pos struct {
	Line, Column int
	source       *Source
}

// Errorf makes the diagnostic of a mistake at the position.
func (p Pos) Errorf(format string, args ...any) *Diagnostic {
	d := &Diagnostic{Message: fmt.Sprintf(format, args...)}
	if p.source == nil {
		return d
	}
	d.File, d.Line, d.Column = p.source.file, p.Line, p.Column
	if p.Line > 0 && p.Line <= len(p.source.lines) {
		d.Source = p.source.lines[p.Line-1]
	}
	return d
}
