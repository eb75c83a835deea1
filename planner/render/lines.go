package render

import "strings"

// lineWriter collects the rendered text and notes which line of the file each
// of its lines comes from.
type lineWriter struct {
	text   strings.Builder
	origin []int
	at     int  // the line of the file that is being written
	moves  bool // text moves on in the file at a line end; an action does not
	inLine bool // something of the current line is written
}

// mark says which line of the file what follows comes from.
func (w *lineWriter) mark(line int, text bool) {
	w.at, w.moves = line, text
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if !w.inLine {
			w.origin = append(w.origin, max(w.at, 1))
			w.inLine = true
		}
		i := strings.IndexByte(string(rest), '\n')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		w.inLine = false
		if w.moves {
			w.at++
		}
	}
	return w.text.Write(p)
}

// lines has one line more than there are line ends, as strings.Split does.
func (w *lineWriter) lines() []int {
	if w.inLine {
		return w.origin
	}
	return append(w.origin, max(w.at, 1))
}

// setLines notes where the lines come from; nil is the text as it is.
func (o *Output) setLines(text string, origin []int) {
	o.source, o.result = strings.Split(text, "\n"), strings.Split(string(o.Text), "\n")
	if o.origin = origin; origin == nil {
		for i := range o.source {
			o.origin = append(o.origin, i+1)
		}
	}
}
