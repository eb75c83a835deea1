// Package diag is the type of the errors that tell people about their own
// files: where the mistake is, the line that holds it, and what to write
// instead. A run that ends with one of them ends with exit code 2.
//
// It must never know any file's format, nor read files: those who parse give it
// the text and the positions.
package diag

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Diagnostic is one mistake in a user's input.
type Diagnostic struct {
	File    string // as the user would name it, relative to the project
	Line    int    // 1-based; 0 when not known, and then Column is 0 too
	Column  int    // in characters, 1-based; 0 when not known
	Source  string // the offending line, without its line end
	Message string // what is wrong
	Advice  string // what to do instead; may have several lines, may be empty
}

// maxSource is how many characters of a source line are shown: enough for any
// line that people write, and no flood when a certificate is pasted into one.
const maxSource = 120

// Error prints the position and the message, the offending line with a caret
// under the column, and the advice:
//
//	werf.yaml:7:1: unknown key "dockerfle"
//	  7 | dockerfle: Dockerfile
//	    | ^
//	  did you mean "dockerfile"?
func (d *Diagnostic) Error() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		if d.Line > 0 {
			fmt.Fprintf(&b, ":%d", d.Line)
			if d.Column > 0 {
				fmt.Fprintf(&b, ":%d", d.Column)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(d.Message)
	d.excerpt(&b)
	if d.Advice != "" {
		for line := range strings.SplitSeq(d.Advice, "\n") {
			b.WriteString("\n" + strings.TrimRight("  "+line, " "))
		}
	}
	return b.String()
}

// Advise sets the advice and returns d.
func (d *Diagnostic) Advise(format string, args ...any) *Diagnostic {
	d.Advice = fmt.Sprintf(format, args...)
	return d
}

// Is tells an error in the user's input (exit code 2) from a run that failed.
// It looks through wrapping and joining.
func Is(err error) bool {
	var d *Diagnostic
	return errors.As(err, &d)
}

func (d *Diagnostic) excerpt(b *strings.Builder) {
	if d.Line == 0 || strings.TrimSpace(d.Source) == "" {
		return
	}
	line, column := window([]rune(d.Source), d.Column)
	gutter := fmt.Sprint(d.Line)
	fmt.Fprintf(b, "\n  %s | %s", gutter, strings.TrimRight(string(printable(line)), " \t"))
	if column > 0 {
		fmt.Fprintf(b, "\n  %*s | %s^", len(gutter), "", indent(line, column))
	}
}

// window cuts a long line to the part around the column.
func window(line []rune, column int) ([]rune, int) {
	if len(line) <= maxSource {
		return line, column
	}
	start := min(max(0, column-1-maxSource/2), len(line)-maxSource)
	cut := []rune{}
	if start > 0 {
		cut, column = append(cut, '…'), column-start+1
	}
	cut = append(cut, line[start:start+maxSource]...)
	if start+maxSource < len(line) {
		cut = append(cut, '…')
	}
	return cut, column
}

// printable replaces what could steer a terminal.
func printable(line []rune) []rune {
	out := make([]rune, len(line))
	for i, r := range line {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			r = unicode.ReplacementChar
		}
		out[i] = r
	}
	return out
}

// indent is the blank text that is as wide as the characters before the column:
// tabs stay tabs, whatever width the terminal gives them.
func indent(line []rune, column int) string {
	var b strings.Builder
	for i := range column - 1 {
		switch {
		case i >= len(line):
			b.WriteByte(' ')
		case line[i] == '\t':
			b.WriteByte('\t')
		case unicode.In(line[i], unicode.Mn, unicode.Me):
			// A combining mark stands on the character before it.
		case unicode.In(line[i], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			b.WriteString("  ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}
