package chart

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Error is something that the user has to mend: a mistake in a file of the
// chart, something missing from it, or an option that makes no chart.
type Error struct {
	File    string // path in the project; empty when no file is at fault
	Line    int    // 1-based; 0 when not known
	Source  string // the offending line, without its line end; empty when Line is 0
	Message string // what is wrong
	Advice  string // what to do instead; may have several lines, may be empty
}

// Error prints position and message, the offending line, and the advice.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Source != "" {
		fmt.Fprintf(&b, "\n  %d | %s", e.Line, e.Source)
	}
	if e.Advice != "" {
		b.WriteString("\n  " + strings.ReplaceAll(e.Advice, "\n", "\n  "))
	}
	return b.String()
}

func (e *Error) advise(format string, args ...any) *Error {
	e.Advice = fmt.Sprintf(format, args...)
	return e
}

// yamlPosition is how the YAML library tells a line, after however many
// wrappings; the rest is what is wrong there.
var yamlPosition = regexp.MustCompile(`(?s)yaml: line (\d+): (.*)$`)

// jsonWrapping is what the YAML library prints before errors of types, which it
// finds in the JSON that it makes of the document: of no use to people.
var jsonWrapping = regexp.MustCompile(`error (?:unmarshaling|converting YAML to) JSON: (?:while decoding JSON: )?(?:json: )?`)

// wrong makes an Error of what a library says about a file of the chart; an
// empty name stands for the chart's directory.
func (s *Source) wrong(name string, err error) *Error {
	return wrongIn(s.shown(name), s.files[name], err)
}

// wrongIn is wrong for any file, nil if it is a directory.
func wrongIn(file string, data []byte, err error) *Error {
	e := &Error{File: file, Message: jsonWrapping.ReplaceAllString(err.Error(), "")}
	m := yamlPosition.FindStringSubmatch(err.Error())
	if m == nil || data == nil { // a line, but of which file
		return e
	}
	line, _ := strconv.Atoi(m[1])
	e.Message = m[2]
	return e.onLine(data, line)
}

// onLine points at a line of the file's text.
func (e *Error) onLine(data []byte, line int) *Error {
	e.Line = line
	lines := strings.Split(string(data), "\n")
	if line > 0 && line <= len(lines) {
		e.Source = strings.TrimRight(lines[line-1], "\r \t")
	}
	return e
}
