package progress

import (
	"errors"
	"strings"
	"testing"
	"time"

	"slipway/engine"
)

func TestSummary(t *testing.T) {
	boom := errors.New("boom")
	base := &engine.Node{ID: "build base", Kind: "build"}
	app := &engine.Node{ID: "build app", Kind: "build", Needs: []*engine.Node{base}}
	tag := &engine.Node{ID: "tag latest", Kind: "tag", Needs: []*engine.Node{app}}
	of := func(n *engine.Node, s engine.Status, err error) engine.NodeReport {
		return engine.NodeReport{Node: n, Status: s, Err: err, Duration: time.Minute}
	}
	tests := []struct {
		name  string
		nodes []engine.NodeReport
		want  string
	}{
		{"nothing", nil, "Nothing to do, after 1.5s: no stages."},
		{"one found", []engine.NodeReport{of(app, engine.StatusFound, nil)}, "Nothing to do, after 1.5s: 1 stage skipped."},
		{"several found", []engine.NodeReport{of(app, engine.StatusFound, nil), of(base, engine.StatusFound, nil)},
			"Nothing to do, after 1.5s: 2 stages skipped."},
		{"made", []engine.NodeReport{of(base, engine.StatusFound, nil), of(app, engine.StatusRan, nil), of(tag, engine.StatusRan, nil)},
			"Done in 1.5s: 1 stage skipped, 2 made.\nMade:\n  build app (1m00s)"},
		{"unchanged", []engine.NodeReport{of(app, engine.StatusRan, nil), of(tag, engine.StatusUnchanged, nil)},
			"Done in 1.5s: 1 stage skipped, 1 made.\nMade:\n  build app (1m00s)"},
		{"one that only orders", []engine.NodeReport{of(app, engine.StatusFound, nil), of(&engine.Node{ID: "barrier"}, engine.StatusUnchanged, nil)},
			"Nothing to do, after 1.5s: 1 stage skipped."},
		{"failed", []engine.NodeReport{of(base, engine.StatusFailed, boom), of(app, engine.StatusNotRun, nil), of(tag, engine.StatusNotRun, nil)},
			"Failed after 1.5s: 1 stage failed, 2 not run.\nFailed:\n  build base\nNot run:\n  build app (needs build base)\n  tag latest (needs build base)"},
		{"one cause of two", []engine.NodeReport{of(base, engine.StatusFailed, boom), of(app, engine.StatusFailed, boom), of(tag, engine.StatusNotRun, nil)},
			"Failed after 1.5s: 2 stages failed, 1 not run.\nFailed:\n  build base\n  build app (same cause as build base)\nNot run:\n  tag latest (needs build base)"},
		{"cancelled", []engine.NodeReport{of(base, engine.StatusCancelled, boom), of(app, engine.StatusNotRun, nil)},
			"Cancelled after 1.5s: 1 stage cancelled, 1 not run.\nNot run:\n  build app"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			if err := Summary(&b, &engine.Report{Duration: 1500 * time.Millisecond, Nodes: test.nodes}, "build"); err != nil {
				t.Fatal(err)
			}
			if b.String() != test.want+"\n" {
				t.Errorf("got:\n%swant:\n%s", b.String(), test.want)
			}
		})
	}
}
