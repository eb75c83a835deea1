package secret

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Error is a mistake in a file of values. It does not hold the line in question,
// which may be a secret.
type Error struct {
	File         string // as it was given; empty when the caller knows
	Line, Column int    // 1-based; 0 for the file as a whole
	Path         string // of the value, "database.users[0].password"; empty for the file
	Message      string // what is wrong
	Advice       string // what to do instead; may be empty
	Cause        error  // an Err variable of this package, or nil
}

// Error prints the position, the value's path, the message and the advice.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(e.Text())
	if e.Advice != "" {
		b.WriteString("\n  " + e.Advice)
	}
	return b.String()
}

// Text is the value's path and the message.
func (e *Error) Text() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Unwrap gives errors.Is the Err variable.
func (e *Error) Unwrap() error { return e.Cause }

func at(n *yaml.Node, path, message, advice string) *Error {
	return &Error{Line: n.Line, Column: n.Column, Path: path, Message: message, Advice: advice}
}

// Errors are several mistakes of one file, in its order.
type Errors []*Error

// Error prints one mistake per line.
func (l Errors) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives errors.Is and errors.As each mistake.
func (l Errors) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}

// err is the list as an error, nil if it is empty.
func (l Errors) err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// yamlPosition is how the YAML library tells a line; the rest is what is wrong.
var yamlPosition = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// syntax makes an Error of what the YAML library says.
func syntax(err error) *Error {
	e := &Error{Message: "no YAML"}
	m := yamlPosition.FindStringSubmatch(err.Error())
	if m == nil {
		return e
	}
	if line, err := strconv.Atoi(m[1]); err == nil {
		e.Line, e.Column = line, 1
	}
	if strings.Contains(m[2], "unknown anchor") { // the only one that quotes the file
		e.Message = "a value begins with * and so names an anchor, which the file does not have"
		e.Advice = "put the value in quotes"
		return e
	}
	e.Message += ": " + m[2]
	return e
}
