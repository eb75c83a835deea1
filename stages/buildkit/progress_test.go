package buildkit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/engine"
	"slipway/stages"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/grpcerrors"
	digest "github.com/opencontainers/go-digest"
)

const (
	copyStep digest.Digest = "sha256:aa"
	runStep  digest.Digest = "sha256:bb"
)

var now = new(time.Time)

// stage is the node that a progress tells of.
type stage func(ctx context.Context)

func (stage) Find(context.Context) (engine.Result, bool, error) { return nil, false, nil }
func (s stage) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	s(ctx)
	return nil, nil
}

type recorder []string

// Event notes what stages tell, not what the engine does.
func (r *recorder) Event(e engine.Event) {
	switch e.Kind {
	case engine.EventStep:
		*r = append(*r, fmt.Sprintf("step %s done=%v cached=%v err=%v", e.Step, e.StepDone, e.Cached, e.Err))
	case engine.EventLog:
		*r = append(*r, fmt.Sprintf("log %s %q", e.Step, e.Text))
	case engine.EventBytes:
		*r = append(*r, fmt.Sprintf("bytes %s %d/%d done=%v", e.Step, e.Current, e.Total, e.StepDone))
	case engine.EventNote:
		*r = append(*r, "note "+e.Text)
	}
}

// follow returns what is told of these statuses, and the progress after them.
func follow(t *testing.T, statuses ...*client.SolveStatus) ([]string, *progress) {
	t.Helper()
	var events recorder
	var p *progress
	node := &engine.Node{ID: "build", Stage: stage(func(ctx context.Context) {
		p = newProgress(ctx)
		for _, s := range statuses {
			p.status(s)
		}
	})}
	if _, err := engine.Run(t.Context(), []*engine.Node{node}, engine.Options{Sinks: []engine.Sink{&events}}); err != nil {
		t.Fatal(err)
	}
	return events, p
}

func vertexes(vs ...*client.Vertex) *client.SolveStatus { return &client.SolveStatus{Vertexes: vs} }

// logs is the output of a step, in the chunks in which it comes.
func logs(step digest.Digest, chunks ...string) *client.SolveStatus {
	s := &client.SolveStatus{}
	for _, c := range chunks {
		s.Logs = append(s.Logs, &client.VertexLog{Vertex: step, Data: []byte(c)})
	}
	return s
}

func TestProgress(t *testing.T) {
	seen := &client.Vertex{Digest: runStep, Name: "RUN x"}
	begun := &client.Vertex{Digest: runStep, Name: "RUN x", Started: now}
	ended := &client.Vertex{Digest: runStep, Name: "RUN x", Started: now, Completed: now}
	transfer := func(current, total int64, completed *time.Time) *client.SolveStatus {
		return &client.SolveStatus{Statuses: []*client.VertexStatus{{ID: "pushing layers", Vertex: runStep, Current: current, Total: total, Completed: completed}}}
	}
	tests := []struct {
		name     string
		statuses []*client.SolveStatus
		want     []string
	}{
		{"a step that only waits", []*client.SolveStatus{vertexes(seen, seen)}, nil},
		{"each step once", []*client.SolveStatus{vertexes(seen), vertexes(begun, begun), vertexes(begun), vertexes(ended), vertexes(ended, begun)},
			[]string{"step RUN x done=false cached=false err=<nil>", "step RUN x done=true cached=false err=<nil>"}},
		{"begun and ended in one", []*client.SolveStatus{vertexes(ended)},
			[]string{"step RUN x done=false cached=false err=<nil>", "step RUN x done=true cached=false err=<nil>"}},
		{"cached", []*client.SolveStatus{vertexes(&client.Vertex{Digest: copyStep, Name: "COPY", Started: now, Completed: now, Cached: true})},
			[]string{"step COPY done=false cached=false err=<nil>", "step COPY done=true cached=true err=<nil>"}},
		{"failed", []*client.SolveStatus{vertexes(&client.Vertex{Digest: runStep, Name: "RUN x", Started: now, Completed: now, Error: "exit code: 1"})},
			[]string{"step RUN x done=false cached=false err=<nil>", "step RUN x done=true cached=false err=exit code: 1"}},
		{"output as it comes", []*client.SolveStatus{vertexes(begun), logs(runStep, "one\ntw", "o\n")},
			[]string{"step RUN x done=false cached=false err=<nil>", `log RUN x "one\ntw"`, `log RUN x "o\n"`}},
		{"output of nothing known", []*client.SolveStatus{logs(copyStep, "lost\n")}, nil},
		{"bytes", []*client.SolveStatus{transfer(0, 0, nil), transfer(1, 9, nil), transfer(9, 9, now)},
			[]string{"bytes pushing layers 1/9 done=false", "bytes pushing layers 9/9 done=true"}},
		{"credentials", []*client.SolveStatus{
			vertexes(&client.Vertex{Digest: runStep, Name: "ADD https://u:p@h/a /a", Started: now, Completed: now, Error: "get https://u:p@h/a"}), logs(runStep, "from https://u:p@h/a\n"),
		}, []string{"step ADD https://h/a /a done=false cached=false err=<nil>", "step ADD https://h/a /a done=true cached=false err=get https://h/a", `log ADD https://h/a /a "from https://h/a\n"`}},
		{"warning", []*client.SolveStatus{{Warnings: []*client.VertexWarning{{Short: []byte("old syntax")}}}}, []string{"note old syntax"}},
		{"warning with its place", []*client.SolveStatus{{Warnings: []*client.VertexWarning{
			{Short: []byte("old syntax"), URL: "https://u:p@h/rule", SourceInfo: &pb.SourceInfo{Filename: "Dockerfile"}, Range: []*pb.Range{{Start: &pb.Position{Line: 3}}}},
			{Short: []byte("old syntax"), SourceInfo: &pb.SourceInfo{Filename: "Dockerfile"}},
		}}}, []string{"note Dockerfile:3: old syntax (https://h/rule)", "note Dockerfile: old syntax"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := follow(t, test.statuses...); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// numbered is lines "from\n" to "to\n".
func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

func TestTail(t *testing.T) {
	lines := func(from, to int) []string { return strings.Split(strings.TrimSuffix(numbered(from, to), "\n"), "\n") }
	tests := []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"a few lines", []string{numbered(1, 3)}, lines(1, 3)},
		{"lines in pieces", []string{"on", "e\nt", "w", "o\n"}, []string{"one", "two"}},
		{"the last line without its end", []string{"one\ntwo"}, []string{"one", "two"}},
		{"only a line without its end", []string{"one"}, []string{"one"}},
		{"empty lines", []string{"one\n\n", "\ntwo\n"}, []string{"one", "", "", "two"}},
		{"as many as are kept", []string{numbered(1, 20)}, lines(1, 20)},
		{"more, in one piece", []string{numbered(1, 50)}, lines(31, 50)},
		{"more, one by one", slices.Collect(strings.Lines(numbered(1, 50))), lines(31, 50)},
		{"more, the last without its end", []string{numbered(1, 49), "50"}, lines(31, 50)},
	}
	failed := vertexes(
		&client.Vertex{Digest: copyStep, Name: "COPY", Started: now, Completed: now},
		&client.Vertex{Digest: runStep, Name: "RUN x", Started: now, Completed: now, Error: "exit code: 1"},
	)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, p := follow(t, failed, logs(copyStep, "not this\n"), logs(runStep, test.chunks...))
			for what, err := range map[string]error{
				"a known step":   errdefs.WrapVertex(errors.New("exit code: 1"), runStep),
				"no step":        errors.New("exit code: 1"),
				"a step unknown": errdefs.WrapVertex(errors.New("exit code: 1"), "sha256:cc"),
			} {
				for range 2 { // asking changes nothing
					var e *stages.SolveError
					if !errors.As(p.explain("app", err), &e) || !slices.Equal(e.Tail, test.want) {
						t.Errorf("%s: the tail is %q, want %q", what, e.Tail, test.want)
					}
				}
			}
		})
	}
}

func TestExplain(t *testing.T) {
	const dockerfile = "FROM a\nRUN one \\\n  two\r\nRUN three\nADD http://u:p@h/a /a\n"
	at := func(err error, file string, lines ...int32) error {
		src := &errdefs.Source{Info: &pb.SourceInfo{Filename: file, Data: []byte(dockerfile)}}
		for i := 0; i < len(lines); i += 2 {
			src.Ranges = append(src.Ranges, &pb.Range{Start: &pb.Position{Line: lines[i]}, End: &pb.Position{Line: lines[i+1]}})
		}
		return errdefs.WithSource(err, src)
	}
	exit := errors.New(`process "/bin/sh -c one" did not complete successfully: exit code: 1`)
	type want struct {
		file, text, message string
		line                int
	}
	tests := map[string]struct {
		err  error
		want want
	}{
		"no place":           {exit, want{message: exit.Error()}},
		"one line":           {at(exit, "Dockerfile", 4, 4), want{"Dockerfile", "RUN three", exit.Error(), 4}},
		"several lines":      {at(exit, "dir/Dockerfile", 2, 3), want{"dir/Dockerfile", "RUN one \\\n  two", exit.Error(), 2}},
		"several ranges":     {at(exit, "Dockerfile", 2, 2, 3, 3), want{"Dockerfile", "RUN one \\\n  two", exit.Error(), 2}},
		"credentials":        {at(errors.New("get http://u:p@h/a"), "Dockerfile", 5, 5), want{"Dockerfile", "ADD http://h/a /a", "get http://h/a", 5}},
		"past the file":      {at(exit, "Dockerfile", 4, 99), want{"Dockerfile", "", exit.Error(), 0}},
		"backwards":          {at(exit, "Dockerfile", 3, 2), want{"Dockerfile", "", exit.Error(), 0}},
		"line 0":             {at(exit, "Dockerfile", 0, 0), want{"Dockerfile", "", exit.Error(), 0}},
		"no ranges":          {at(exit, "Dockerfile"), want{message: exit.Error()}},
		"a source unknown":   {errdefs.WithSource(exit, &errdefs.Source{Ranges: []*pb.Range{{}}}), want{message: exit.Error()}},
		"layers of BuildKit": {fmt.Errorf("failed to run Build function: %w", fmt.Errorf("failed to solve: %w", exit)), want{message: exit.Error()}},
		"noise in the middle": {fmt.Errorf("pulling x: %w", fmt.Errorf("failed to solve: %w", exit)),
			want{message: "pulling x: failed to solve: " + exit.Error()}},
	}
	_, p := follow(t)
	for name, test := range tests {
		// What the daemon knows has to survive the way through gRPC.
		for way, err := range map[string]error{"plain": test.err, "through gRPC": grpcerrors.FromGRPC(grpcerrors.ToGRPC(t.Context(), test.err))} {
			t.Run(name+", "+way, func(t *testing.T) {
				var e *stages.SolveError
				if !errors.As(p.explain("app", err), &e) {
					t.Fatalf("%v is no SolveError", err)
				}
				got := want{e.File, e.Text, e.Err.Error(), e.Line}
				if !reflect.DeepEqual(got, test.want) || e.Image != "app" {
					t.Errorf("got  %+v\nwant %+v", got, test.want)
				}
			})
		}
	}
}
