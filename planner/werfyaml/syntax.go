package werfyaml

import (
	"bytes"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

var yamlPrefix = regexp.MustCompile(`^yaml: (line \d+: )?`)

func yamlMessage(err error) string { return yamlPrefix.ReplaceAllString(err.Error(), "") }

// syntaxError is the diagnostic of text that is not YAML.
//
// yaml.v3 tells no column, and as the line often that of the mapping around the
// mistake, or none. But it reads from left to right: the mistake is where the
// shortest beginning of the document ends that already gives the same message.
// That is searched for by halves, lines first, so a few dozen parses find it.
func (p *parser) syntaxError(d document, err error) *diag.Diagnostic {
	message := yamlMessage(err)
	fails := func(n int) bool {
		_, err := yamlnode.Decode(d.text[:n])
		return err != nil && yamlMessage(err) == message
	}
	ends := lineEnds(d.text)
	line := sort.Search(len(ends)-1, func(i int) bool { return fails(ends[i]) })
	start := 0
	if line > 0 {
		start = ends[line-1]
	}
	runes := runeEnds(d.text[start:ends[line]])
	column := sort.Search(len(runes)-1, func(i int) bool { return fails(start + runes[i]) })
	if strings.HasPrefix(message, "unknown anchor") {
		// The message has the whole name; the alias begins at its asterisk.
		before := d.text[start : start+runes[column]]
		column = utf8.RuneCount(before[:max(0, bytes.LastIndexByte(before, '*'))])
	}

	pos := p.source.Pos(d.line+line+1, column+1)
	rest := d.text[start:]
	if column > 0 {
		rest = rest[runes[column-1]:]
	}
	advice := syntaxAdvice(message, rest)
	// The templates of deploy.
	if bytes.Contains(d.text[start:ends[line]], []byte(": [[")) {
		advice = "put text that begins with [[ in quotes"
	}
	return pos.Errorf("this is not YAML: %s", message).Advise("%s", advice)
}

// syntaxAdvice says what to do about a message of yaml.v3; rest is the text
// from the mistake on.
func syntaxAdvice(message string, rest []byte) string {
	switch {
	case strings.Contains(message, "tab character"),
		strings.Contains(message, "cannot start any token") && bytes.HasPrefix(rest, []byte("\t")):
		return "indent with spaces: YAML allows no tabs there"
	case strings.Contains(message, "cannot start any token"):
		return "put the value in quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		return `put a value that contains ": " in quotes; check the indentation`
	case strings.Contains(message, "unexpected end of stream"):
		return "close the quote"
	case strings.Contains(message, "could not find expected ':'"):
		return "write a key, a colon, a space and a value; begin the next section with a line of three hyphens"
	case strings.Contains(message, "did not find expected ','"):
		return "close the bracket"
	case strings.Contains(message, "unknown anchor"):
		return "an alias finds the anchors before it, in its own section only; put text that begins with * in quotes"
	case strings.Contains(message, "did not find expected"):
		return "check the quotes, and the indentation against the lines above"
	}
	return ""
}

// lineEnds is the offset after each line, its line end included.
func lineEnds(text []byte) []int {
	var ends []int
	for i, c := range text {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	if len(ends) == 0 || ends[len(ends)-1] < len(text) {
		ends = append(ends, len(text))
	}
	return ends
}

// runeEnds is the offset after each character.
func runeEnds(text []byte) []int {
	var ends []int
	for i := 0; i < len(text); {
		_, size := utf8.DecodeRune(text[i:])
		i += size
		ends = append(ends, i)
	}
	return ends
}
