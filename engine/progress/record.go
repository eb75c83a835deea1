package progress

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/engine"
)

const (
	tailLines  = 20       // of a failing step's log, on a terminal
	maxPartial = 16 << 10 // bytes of a line that does not end, before it is shown as it is
)

// record is what a sink remembers about a node until the node ends.
type record struct {
	node    *engine.Node
	running bool // Run was called; else only Find was
	start   time.Time
	steps   []*step // in the order they were first heard of
}

// step is one step or transfer of a node.
type step struct {
	name           string
	start          time.Time
	over           bool
	failed         bool
	partial        string   // a line of the log that has not ended yet
	tail           []string // the last whole lines of the log
	current, total int64    // bytes
}

// records is the nodes that have been heard of and have not ended.
type records map[*engine.Node]*record

// of is the record of the node that e tells about, with the event entered.
func (rs records) of(e engine.Event) *record {
	r := rs[e.Node]
	if r == nil {
		r = &record{node: e.Node, start: e.Time}
		rs[e.Node] = r
	}
	if e.Kind == engine.EventStarted {
		r.running, r.start = true, e.Time
	}
	return r
}

// step is the step that e tells about, begun now if it is new.
func (r *record) step(e engine.Event) *step {
	for _, s := range r.steps {
		if s.name == e.Step {
			return s
		}
	}
	s := &step{name: e.Step, start: e.Time}
	r.steps = append(r.steps, s)
	return s
}

// enter takes in EventStep.
func (s *step) enter(e engine.Event) {
	if !e.StepDone && s.over { // once more
		s.start = e.Time
	}
	s.over, s.failed = e.StepDone, e.Err != nil
}

// move takes in EventBytes.
func (s *step) move(e engine.Event) {
	s.current, s.total = e.Current, e.Total
	s.over = e.Total > 0 && e.Current >= e.Total
}

// log adds raw output and gives the lines that it completed, clean.
func (s *step) log(text string) []string {
	text = s.partial + text
	var lines []string
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		lines = append(lines, clean(line))
		text = rest
	}
	// What a carriage return overwrites need not be kept, unless it ends in one:
	// a line feed may follow.
	if i := strings.LastIndexByte(strings.TrimRight(text, "\r"), '\r'); i >= 0 {
		text = text[i+1:]
	}
	s.partial = text
	s.keep(lines)
	if len(text) > maxPartial {
		lines = append(lines, s.flush()...)
	}
	return lines
}

// flush ends a line that has no end.
func (s *step) flush() []string {
	if s.partial == "" {
		return nil
	}
	lines := []string{clean(s.partial)}
	s.partial = ""
	s.keep(lines)
	return lines
}

func (s *step) keep(lines []string) {
	s.tail = append(s.tail, lines...)
	if n := len(s.tail) - tailLines; n > 0 {
		s.tail = slices.Delete(s.tail, 0, n)
	}
}

// current is the step begun last of those that go on, and how many others do.
func (r *record) current() (s *step, others int) {
	for _, candidate := range r.steps {
		if candidate.over || candidate.name == "" && candidate.current == 0 {
			continue // a step without a name is the log of the node as a whole
		}
		if s != nil {
			others++
		}
		s = candidate
	}
	return s, others
}

// culprit is the step whose log explains the failure of the node: the one that
// failed, else the last that said anything.
func (r *record) culprit() *step {
	var found *step
	for _, s := range r.steps {
		s.flush()
		if s.failed {
			return s
		}
		if len(s.tail) > 0 {
			found = s
		}
	}
	return found
}

// spent is how long the node took and how much it moved: "3.2s, 45.6 MiB".
func (r *record) spent(now time.Time) string {
	var bytes int64
	for _, s := range r.steps {
		bytes += s.current
	}
	if bytes == 0 {
		return duration(now.Sub(r.start))
	}
	return duration(now.Sub(r.start)) + ", " + Size(bytes)
}

// outcome says how a node ended, in one line unless its error has more; nothing
// if that is not worth reading. Only the first node to fail of a cause tells it.
func (r *record) outcome(e engine.Event, causes *causes) []string {
	word := ""
	switch {
	case e.Kind == engine.EventDone:
		word = "done"
	case e.Kind == engine.EventNotRun && e.Err != nil && r.running:
		word = "cancelled"
	case e.Kind == engine.EventFailed:
		head, more, _ := strings.Cut(causes.tell(e), "\n")
		lines := []string{fmt.Sprintf("failed (%s): %s", r.spent(e.Time), clean(head))}
		for line := range strings.Lines(more) {
			lines = append(lines, "  "+clean(strings.TrimSuffix(line, "\n")))
		}
		return lines
	default:
		return nil
	}
	return []string{fmt.Sprintf("%s (%s)", word, r.spent(e.Time))}
}

// ending is outcome with the node's name, and the end of the output of a node
// that failed: for sinks that do not show output as it comes.
func (r *record) ending(e engine.Event, causes *causes) []string {
	lines := r.outcome(e, causes)
	if len(lines) > 0 {
		lines[0] = label(r.node.ID) + ": " + lines[0]
	}
	if e.Kind != engine.EventFailed {
		return lines
	}
	if step := r.culprit(); step != nil && len(step.tail) > 0 {
		title := "  the end of the output"
		if step.name != "" {
			title += " of " + label(step.name)
		}
		lines = append(lines, title+":")
		for _, line := range step.tail {
			lines = append(lines, "    "+line)
		}
	}
	return lines
}

// causes is the failures told so far.
type causes []engine.Event

func (c *causes) tell(e engine.Event) string {
	err := e.Err
	if err == nil {
		err = errors.New("no cause was given")
	}
	for _, told := range *c {
		if engine.SameCause(told.Err, err) {
			return "same cause as " + told.Node.ID
		}
	}
	e.Err = err
	*c = append(*c, e)
	return err.Error()
}
