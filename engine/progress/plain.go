package progress

import (
	"io"
	"strings"

	"slipway/engine"
)

// PlainLog is a sink that writes whole lines, each with the node it is about.
type PlainLog struct {
	// Lookups tells what was found and what was not, too.
	Lookups bool
	// TimeFormat is a layout of package time, for the time before each line; "" is
	// no time.
	TimeFormat string

	w       io.Writer
	records records
	causes  causes
	last    map[*record]*step // the step whose log lines were written last
}

// Plain makes a log for CI, files and pipes. Look-ups are left to Summary, if
// Lookups does not say otherwise. Logs
// of steps are written line by line as they come, so a failure needs no tail.
// Each event is written before Event returns, so there is nothing to close.
// Errors of w are ignored: a log that breaks must not end a run.
func Plain(w io.Writer) *PlainLog {
	return &PlainLog{w: w, records: records{}, last: map[*record]*step{}}
}

// Event writes what there is to say about e in one Write.
func (p *PlainLog) Event(e engine.Event) {
	if e.Node == nil {
		if e.Kind == engine.EventNote {
			p.write(e, "", split(e.Text))
		}
		return
	}
	r := p.records.of(e)
	p.write(e, e.Node.ID, p.lines(r, e))
}

// lines is the text for one event, without the prefix.
func (p *PlainLog) lines(r *record, e engine.Event) []string {
	switch e.Kind {
	case engine.EventLookup, engine.EventStarted:
		return nil
	case engine.EventMissed:
		if p.Lookups {
			return []string{"not there"}
		}
		return nil
	case engine.EventNote:
		return split(e.Text)
	case engine.EventLog:
		s := r.step(e)
		return p.log(r, s, s.log(e.Text))
	case engine.EventBytes:
		return p.transfer(r.step(e), e)
	case engine.EventStep:
		return p.step(r, e)
	}
	// All other events end the node.
	lines := p.rest(r)
	delete(p.records, e.Node)
	delete(p.last, r)
	if p.Lookups && e.Kind == engine.EventFound {
		lines = append(lines, "found ("+r.spent(e.Time)+")")
	}
	return append(lines, r.outcome(e, &p.causes)...)
}

// transfer announces a large transfer once; the end of the node tells the sum.
func (p *PlainLog) transfer(s *step, e engine.Event) []string {
	first := s.total == 0
	s.move(e)
	if !first || e.Total < largeTransfer {
		return nil
	}
	return []string{label(e.Step) + ": " + Size(e.Total)}
}

// largeTransfer is what may take longer than a second, in bytes.
const largeTransfer = 16 << 20

func (p *PlainLog) step(r *record, e engine.Event) []string {
	s := r.step(e)
	var lines []string
	if e.StepDone {
		lines = p.log(r, s, s.flush())
	}
	s.enter(e)
	if s.name == "" {
		return lines
	}
	p.last[r] = s
	text := label(s.name)
	switch {
	case !e.StepDone:
	case e.Err != nil:
		text += ": failed (" + duration(e.Time.Sub(s.start)) + ")"
	case e.Cached:
		text += ": cached"
	default:
		text += ": done (" + duration(e.Time.Sub(s.start)) + ")"
	}
	return append(lines, text)
}

// log indents lines below the name of their step, which is written again when
// the lines of another came between.
func (p *PlainLog) log(r *record, s *step, lines []string) []string {
	if len(lines) == 0 || s.name == "" {
		return lines
	}
	var all []string
	if p.last[r] != s {
		p.last[r] = s
		all = append(all, label(s.name))
	}
	for _, line := range lines {
		all = append(all, "  "+line)
	}
	return all
}

// rest is the ends of logs that have no line feed.
func (p *PlainLog) rest(r *record) []string {
	var lines []string
	for _, s := range r.steps {
		lines = append(lines, p.log(r, s, s.flush())...)
	}
	return lines
}

func (p *PlainLog) write(e engine.Event, id string, lines []string) {
	if len(lines) == 0 {
		return
	}
	prefix := ""
	if id != "" {
		prefix = "[" + label(id) + "] "
	}
	if p.TimeFormat != "" {
		prefix = e.Time.Format(p.TimeFormat) + " " + prefix
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
	io.WriteString(p.w, b.String())
}

// split is foreign text as clean lines.
func split(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, clean(strings.TrimSuffix(line, "\n")))
	}
	return lines
}
