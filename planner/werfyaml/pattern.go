package werfyaml

import (
	"regexp"
	"strings"
)

// Pattern is text that stands for itself, or, between slashes, a regular
// expression (RE2) that must match the whole of what it is compared with.
type Pattern struct {
	text string
	re   *regexp.Regexp // nil for text that stands for itself
}

// ParsePattern reads TEXT or /RE/.
func ParsePattern(text string) (Pattern, error) {
	if len(text) < 2 || !strings.HasPrefix(text, "/") || !strings.HasSuffix(text, "/") {
		return Pattern{text: text}, nil
	}
	expression := text[1 : len(text)-1]
	// By itself first: its own mistakes, and no bracket that closes the group.
	if _, err := regexp.Compile(expression); err != nil {
		return Pattern{}, err
	}
	// In a group, so that the anchors hold for every alternative of a|b.
	re, err := regexp.Compile("^(?:" + expression + ")$")
	return Pattern{text, re}, err
}

// Match tells whether all of s is what the pattern stands for.
func (p Pattern) Match(s string) bool {
	if p.re == nil {
		return s == p.text
	}
	return p.re.MatchString(s)
}

// String is the pattern as it is written.
func (p Pattern) String() string { return p.text }

func (s *section) pattern(f field) (p Pattern, ok bool) {
	text, ok := s.filled(f)
	if !ok {
		return p, false
	}
	p, err := ParsePattern(text)
	if err != nil {
		s.errs.Add(f.at.Errorf("%q is not a regular expression: %v", f.path, err).
			Advise("the syntax is that of https://pkg.go.dev/regexp/syntax"))
		return p, false
	}
	return p, true
}
