package progress

import (
	"io"
	"strings"

	"slipway/engine"
)

// FailureLog is a sink that tells only what failed, with the end of its output.
type FailureLog struct {
	w       io.Writer
	records records
	causes  causes
}

// Failures makes a log for those who want to hear of nothing else. There is
// nothing to close. Errors of w are ignored.
func Failures(w io.Writer) *FailureLog {
	return &FailureLog{w: w, records: records{}}
}

// Event writes what there is to say about e in one Write.
func (f *FailureLog) Event(e engine.Event) {
	if e.Node == nil {
		return
	}
	r := f.records.of(e)
	switch e.Kind {
	case engine.EventLookup, engine.EventMissed, engine.EventStarted, engine.EventNote, engine.EventBytes:
		return
	case engine.EventStep:
		r.step(e).enter(e)
		return
	case engine.EventLog:
		r.step(e).log(e.Text)
		return
	}
	delete(f.records, e.Node)
	if e.Kind == engine.EventFailed {
		io.WriteString(f.w, strings.Join(r.ending(e, &f.causes), "\n")+"\n")
	}
}
