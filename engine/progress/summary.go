package progress

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway/engine"
)

// Summary writes what a run came to: how many stages were skipped, made and so on,
// the names of the made stages of the given kinds ("build": which images were
// built), and on failure what failed and what was not run because of it. The
// causes are left to the sinks, which have told them.
func Summary(w io.Writer, r *engine.Report, kinds ...string) error {
	by := map[engine.Status][]engine.NodeReport{}
	for _, n := range r.Nodes {
		if n.Node.Kind == "" {
			continue // it only orders others
		}
		status := n.Status
		if status == engine.StatusUnchanged {
			status = engine.StatusFound // for people the same: nothing was written
		}
		by[status] = append(by[status], n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s.\n", headline(by), duration(r.Duration), counts(by))

	var made []string
	for _, n := range by[engine.StatusRan] {
		if slices.Contains(kinds, n.Node.Kind) {
			made = append(made, fmt.Sprintf("%s (%s)", label(n.Node.ID), duration(n.Duration)))
		}
	}
	list(&b, "Made", made)

	var failed, notRun []string
	needs := map[*engine.Node]*engine.Node{} // the failure that stopped a node
	for _, f := range r.Failures() {
		failed = append(failed, label(f.Node.ID))
		for _, n := range f.Also {
			failed = append(failed, fmt.Sprintf("%s (same cause as %s)", label(n.ID), label(f.Node.ID)))
		}
		for _, n := range f.NotRun {
			if needs[n] == nil {
				needs[n] = f.Node
			}
		}
	}
	list(&b, "Failed", failed)
	for _, n := range by[engine.StatusNotRun] {
		line := label(n.Node.ID)
		if cause := needs[n.Node]; cause != nil {
			line += fmt.Sprintf(" (needs %s)", label(cause.ID))
		}
		notRun = append(notRun, line)
	}
	list(&b, "Not run", notRun)
	_, err := io.WriteString(w, b.String())
	return err
}

func headline(by map[engine.Status][]engine.NodeReport) string {
	switch {
	case len(by[engine.StatusFailed]) > 0:
		return "Failed after"
	case len(by[engine.StatusCancelled])+len(by[engine.StatusNotRun]) > 0:
		return "Cancelled after"
	case len(by[engine.StatusRan]) == 0:
		return "Nothing to do, after"
	}
	return "Done in"
}

// counts is "10 stages skipped, 2 made": the first item bears the noun.
func counts(by map[engine.Status][]engine.NodeReport) string {
	var items []string
	for _, c := range []struct {
		status engine.Status
		word   string
	}{
		{engine.StatusFound, "skipped"},
		{engine.StatusRan, "made"},
		{engine.StatusFailed, "failed"},
		{engine.StatusCancelled, "cancelled"},
		{engine.StatusNotRun, "not run"},
	} {
		n := len(by[c.status])
		noun := ""
		if len(items) == 0 {
			noun = " stages"
			if n == 1 {
				noun = " stage"
			}
		}
		if n > 0 {
			items = append(items, fmt.Sprintf("%d%s %s", n, noun, c.word))
		}
	}
	if items == nil {
		return "no stages"
	}
	return strings.Join(items, ", ")
}

func list(b *strings.Builder, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "%s:\n  %s\n", title, strings.Join(lines, "\n  "))
	}
}
