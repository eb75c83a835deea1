package wire

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrEndless is the cause of the Error of templates that call themselves without
// end.
var ErrEndless = errors.New("templates call themselves without end")

// Error is something that the user has to mend: in a template, in values, or in
// what was asked for.
type Error struct {
	File    string // path of the template, CHART/templates/x.yaml; empty when no file is at fault
	Line    int    // 1-based; 0 when not known
	Column  int    // in characters, 1-based; 0 when not known
	Source  string // the offending line; empty when Line is 0
	Message string // what is wrong
	Advice  string // what to do instead; may have several lines, may be empty
	// Via are the places, FILE:LINE, that the template was called from, the nearest
	// first.
	Via   []string
	Cause error // ErrEndless, or nil
}

// Unwrap gives errors.Is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Error prints position and message, the offending line, and the advice.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		for _, n := range []int{e.Line, e.Column} {
			if n > 0 {
				fmt.Fprintf(&b, "%d:", n)
			}
		}
		b.WriteByte(' ')
	}
	b.WriteString(e.Message)
	if e.Source != "" {
		fmt.Fprintf(&b, "\n  %d | %s", e.Line, e.Source)
	}
	for _, at := range e.Via {
		b.WriteString("\n  called from " + at)
	}
	if e.Advice != "" {
		b.WriteString("\n  " + strings.ReplaceAll(e.Advice, "\n", "\n  "))
	}
	return b.String()
}

// Problem is a mistake in a manifest.
type Problem struct {
	Path     string // of the template
	Resource string // its kind and name: Deployment web; empty if it says none
	Line     int    // 1-based, in what the template renders for this resource; 0 when not known
	Message  string // the field and what is wrong with it; no value of a field
}

// Error prints the template, the resource and the message.
func (p *Problem) Error() string {
	text := p.Path + ": "
	if p.Resource != "" {
		text += p.Resource + ": "
	}
	text += p.Message
	if p.Line > 0 {
		text += fmt.Sprintf(" (line %d of what is rendered)", p.Line)
	}
	return text
}

// wrapping is what the YAML library says before what is wrong.
var wrapping = regexp.MustCompile(`error (?:unmarshaling|converting YAML to) JSON: (?:while decoding JSON: )?(?:json: )?`)

// Plain is an error of the YAML library without what is of no use to people.
func Plain(text string) string { return wrapping.ReplaceAllString(text, "") }
