package buildkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"slipway/engine"
	"slipway/stages"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	digest "github.com/opencontainers/go-digest"
)

// tailLines is how much of a failing step's output an error carries.
const tailLines = 20

// progress turns BuildKit's status stream into events and remembers the end of
// each step's output for the error.
type progress struct {
	ctx   context.Context
	steps map[digest.Digest]*step
	order []*step // as they came
	quiet bool    // tell nothing but errors
}

type step struct {
	name    string
	started bool
	done    bool
	failed  bool
	tail    []string // complete lines, the last tailLines of them
	partial string
}

func newProgress(ctx context.Context) *progress {
	return &progress{ctx: ctx, steps: map[digest.Digest]*step{}}
}

func (p *progress) status(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		p.vertex(v)
	}
	for _, st := range s.Statuses {
		if st.Total == 0 && st.Current == 0 {
			continue
		}
		// "pushing layers", "extracting sha256:…": the transfer's own name says
		// more than the step that it belongs to.
		p.emit(engine.Event{Kind: engine.EventBytes, Step: st.ID, Current: st.Current, Total: st.Total, StepDone: st.Completed != nil})
	}
	for _, l := range s.Logs {
		if st := p.steps[l.Vertex]; st != nil {
			text := engine.Redact(string(l.Data)) // git tells the URL of an ADD
			st.log(text)
			p.emit(engine.Event{Kind: engine.EventLog, Step: st.name, Text: text})
		}
	}
	for _, w := range s.Warnings {
		p.emit(engine.Event{Kind: engine.EventNote, Text: engine.Redact(warning(w))})
	}
}

// warning is "FILE:LINE: TEXT (URL)" with what is known of it.
func warning(w *client.VertexWarning) string {
	text := string(w.Short)
	if w.URL != "" {
		text += " (" + w.URL + ")"
	}
	if w.SourceInfo == nil || w.SourceInfo.Filename == "" {
		return text
	}
	at := w.SourceInfo.Filename
	if len(w.Range) > 0 && w.Range[0].Start != nil {
		at = fmt.Sprintf("%s:%d", at, w.Range[0].Start.Line)
	}
	return at + ": " + text
}

// vertex reports each step's beginning and end once; BuildKit repeats them.
func (p *progress) vertex(v *client.Vertex) {
	st := p.steps[v.Digest]
	if st == nil {
		st = &step{name: engine.Redact(v.Name)} // an ADD's holds its URL
		p.steps[v.Digest] = st
		p.order = append(p.order, st)
	}
	if v.Started != nil && !st.started {
		st.started = true
		p.emit(engine.Event{Kind: engine.EventStep, Step: st.name})
	}
	if v.Completed != nil && !st.done {
		st.done, st.failed = true, v.Error != ""
		e := engine.Event{Kind: engine.EventStep, Step: st.name, StepDone: true, Cached: v.Cached}
		if v.Error != "" {
			e.Err = errors.New(engine.Redact(v.Error))
		}
		p.emit(e)
	}
}

func (p *progress) emit(e engine.Event) {
	if !p.quiet {
		engine.Emit(p.ctx, e)
	}
}

// log keeps the last lines of a step's output.
func (s *step) log(text string) {
	lines := strings.Split(s.partial+text, "\n")
	s.partial = lines[len(lines)-1]
	s.tail = append(s.tail, lines[:len(lines)-1]...)
	if n := len(s.tail) - tailLines; n > 0 {
		s.tail = append([]string(nil), s.tail[n:]...)
	}
}

// explain turns a failed solve into an error with the place in the Dockerfile
// and the end of the failing step's output.
func (p *progress) explain(image string, err error) error {
	e := &stages.SolveError{Image: image, Err: errors.New(engine.Redact(cause(err)))}
	e.Fetch = strings.Contains(e.Err.Error(), unfetched)
	for _, src := range errdefs.Sources(err) {
		if src.Info == nil || len(src.Ranges) == 0 {
			continue
		}
		e.File = src.Info.Filename
		lines := strings.Split(string(src.Info.Data), "\n")
		first, last := int(src.Ranges[0].Start.Line), int(src.Ranges[len(src.Ranges)-1].End.Line)
		if first >= 1 && last >= first && last <= len(lines) {
			e.Line, e.Text = first, engine.Redact(strings.TrimRight(strings.Join(lines[first-1:last], "\n"), "\r\n"))
		}
	}
	var vertex *errdefs.VertexError
	var failed *step
	if errors.As(err, &vertex) {
		failed = p.steps[digest.Digest(vertex.Digest)]
	}
	for _, st := range p.order {
		if failed == nil && st.failed && len(st.tail)+len(st.partial) > 0 {
			failed = st
		}
	}
	if failed != nil {
		e.Tail = failed.tail
		if failed.partial != "" {
			e.Tail = append(e.Tail, failed.partial)
		}
		e.Tail = e.Tail[max(0, len(e.Tail)-tailLines):]
	}
	return e
}

// notFound is what BuildKit says of a COPY without a source, with its own ids.
var notFound = regexp.MustCompile(`failed to calculate checksum of ref \S+: ("[^"]*"): not found$`)

// unfetched is in what BuildKit says of content that it could not fetch
// (contentutil.Copy), which has no type after the way here.
const unfetched = "failed to copy: "

// cause drops the layers of transport that every error passes through.
func cause(err error) string {
	msg := err.Error()
	if st, ok := grpcerrors.AsGRPCStatus(err); ok {
		msg = st.Message()
	}
	if m := notFound.FindStringSubmatch(msg); m != nil {
		return m[1] + " is not in the build context: it is not committed, or ignored by .dockerignore"
	}
	for _, noise := range []string{"failed to run Build function: ", "failed to solve: ", "rpc error: "} {
		msg = strings.TrimPrefix(msg, noise)
	}
	return msg
}
