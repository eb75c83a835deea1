package progress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"slipway/engine"
)

// redraw is how often the live lines are drawn: fast enough to look alive, slow
// enough for a slow connection.
const redraw = 100 * time.Millisecond

// Screen is a sink that keeps a few live lines at the bottom of a terminal: the
// counts, then what runs. What is finished scrolls up above them for good.
type Screen struct {
	w    io.Writer
	size func() (cols, rows int)

	mu      sync.Mutex
	records records
	running []*record // in the order they were started
	looking map[*engine.Node]bool
	causes  causes
	start   time.Time // of the first event
	counts  struct{ lookups, found, done, failed int }
	above   []string // finished lines that are not written yet
	drawn   int      // live lines on the screen
	stop    chan struct{}
	stopped sync.WaitGroup
	closed  bool
}

// Terminal makes a live view on a terminal that understands ECMA-48 sequences.
// size is asked at each drawing, from another goroutine; what it does not know
// is 0, and taken as 80 columns and 24 rows. Errors of w are ignored. Close ends
// the view.
func Terminal(w io.Writer, size func() (cols, rows int)) *Screen {
	return &Screen{w: w, size: size, records: records{}, looking: map[*engine.Node]bool{}}
}

// Event takes e in; it is drawn within a tenth of a second. After Close it does
// nothing.
func (s *Screen) Event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.enter(e)
	if s.stop == nil {
		s.start = e.Time
		s.stop = make(chan struct{})
		s.stopped.Go(s.tick)
		s.draw(e.Time, true)
	}
}

// Close erases the live lines, leaves what is finished, and stops drawing.
func (s *Screen) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first && s.stop != nil {
		close(s.stop)
		s.draw(time.Now(), false)
	}
	s.mu.Unlock()
	s.stopped.Wait()
}

func (s *Screen) tick() {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.mu.Lock()
			if !s.closed {
				s.draw(now, true)
			}
			s.mu.Unlock()
		}
	}
}

func (s *Screen) enter(e engine.Event) {
	if e.Node == nil {
		if e.Kind == engine.EventNote {
			s.above = append(s.above, split(e.Text)...)
		}
		return
	}
	r := s.records.of(e)
	switch e.Kind {
	case engine.EventLookup:
		s.counts.lookups++
		s.looking[e.Node] = true
	case engine.EventMissed:
		delete(s.looking, e.Node)
	case engine.EventStarted:
		if !slices.Contains(s.running, r) { // else it has waited for somebody else, in vain
			s.running = append(s.running, r)
		}
	case engine.EventStep:
		r.step(e).enter(e)
	case engine.EventLog:
		r.step(e).log(e.Text)
	case engine.EventBytes:
		r.step(e).move(e)
	case engine.EventNote:
		for _, line := range split(e.Text) {
			s.above = append(s.above, label(e.Node.ID)+": "+line)
		}
	default:
		s.end(r, e)
	}
}

// end takes in the last event of a node.
func (s *Screen) end(r *record, e engine.Event) {
	delete(s.records, e.Node)
	delete(s.looking, e.Node)
	for i := range s.running {
		if s.running[i] == r {
			s.running = append(s.running[:i], s.running[i+1:]...)
			break
		}
	}
	switch e.Kind {
	case engine.EventFound:
		s.counts.found++
	case engine.EventDone, engine.EventUnchanged:
		s.counts.done++
	case engine.EventFailed:
		s.counts.failed++
	}
	s.above = append(s.above, r.ending(e, &s.causes)...)
}

// draw replaces the live lines, in one Write so that a terminal does not show
// half of it. Line wrapping is off meanwhile: a character wider than was thought
// would else throw off the count of lines to go up by next time.
func (s *Screen) draw(now time.Time, live bool) {
	var b bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", s.drawn)
		s.drawn = 0
	}
	for _, line := range s.above {
		b.WriteString(line + "\n")
	}
	s.above = nil
	if live {
		cols, rows := s.size()
		if cols <= 0 {
			cols = 80
		}
		if rows <= 0 {
			rows = 24
		}
		b.WriteString("\x1b[?7l")
		for _, line := range s.live(now, max(rows-1, 1)) {
			// The last column stays free: some terminals wrap on filling it.
			b.WriteString(fit(line, cols-1) + "\n")
			s.drawn++
		}
		b.WriteString("\x1b[?7h")
	}
	s.w.Write(b.Bytes())
}

// live is the counts, then a line for each running node, at most rows in all.
func (s *Screen) live(now time.Time, rows int) []string {
	c := s.counts
	lines := []string{fmt.Sprintf("%s  look-ups %d/%d, found %d, running %d, done %d, failed %d",
		duration(now.Sub(s.start)), c.lookups-len(s.looking), c.lookups, c.found, len(s.running), c.done, c.failed)}
	for i, r := range s.running {
		if len(lines) == rows-1 && i < len(s.running)-1 {
			lines = append(lines, fmt.Sprintf("        and %d more", len(s.running)-i))
			break
		}
		if len(lines) == rows {
			break
		}
		// The time comes first so that it survives the cut.
		line := fmt.Sprintf("%6s  %s", duration(now.Sub(r.start)), label(r.node.ID))
		if step, others := r.current(); step != nil {
			if step.name != "" {
				line += ": " + label(step.name)
			}
			if step.current > 0 || step.total > 0 {
				line += " " + transfer(step.current, step.total)
			}
			if others > 0 {
				line += fmt.Sprintf(" (and %d more)", others)
			}
		}
		lines = append(lines, line)
	}
	return lines
}
