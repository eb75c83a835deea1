package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Warning is something that its author should know of a Dockerfile that is built
// nevertheless: mostly a finding of BuildKit's checks
// (docs.docker.com/reference/build-checks). They are made when the image is built,
// since many depend on the real base: what variables it has, what platform it is.
type Warning struct {
	File string
	Line int    // 0 when not known
	Rule string // "JSONArgsRecommended"; "" if it is no finding of a check
	Text string
	URL  string // of the rule; may be ""
}

// String is "Dockerfile:3: TEXT (RULE, URL)".
func (w Warning) String() string {
	at := w.File
	if w.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, w.Line)
	}
	return at + ": " + w.about()
}

// about is the warning without its place.
func (w Warning) about() string {
	if w.Rule == "" {
		return w.Text
	}
	why := w.Rule
	if w.URL != "" {
		why += ", " + w.URL
	}
	return w.Text + " (" + why + ")"
}

// warnings are the findings of one conversion.
type warnings []Warning

// add is a linter.LintWarnFunc.
func (ws *warnings) add(rule, _, url, message string, location []parser.Range) {
	w := Warning{Rule: rule, Text: engine.Redact(message), URL: url}
	if len(location) > 0 {
		w.Line = location[0].Start.Line
	}
	*ws = append(*ws, w)
}

// sorted are the warnings in the order of the file, each once: the conversion has
// them in any order.
func (ws warnings) sorted(in Input) []Warning {
	all := slices.Clone(ws)
	for i := range all {
		all[i].File = in.Path
	}
	if w, ok := syntaxWarning(in); ok {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(all)
}

// asErrors is nil unless the conversion failed because the Dockerfile says that
// findings are errors, "# check=error=true".
func (ws warnings) asErrors(in Input, err error) error {
	// linter.Linter.Error, which has no type.
	if err == nil || !strings.HasPrefix(err.Error(), "lint violation found for rules: ") {
		return nil
	}
	var list diag.List
	for _, w := range ws.sorted(in) {
		if w.Rule == "" {
			continue
		}
		list.Add(&diag.Diagnostic{
			File: w.File, Line: w.Line, Source: engine.Redact(line(in.Text, w.Line)), Message: w.about(),
			Advice: "mend it, or leave the check out: # check=skip=" + w.Rule + ";error=true",
		})
	}
	return list.Err()
}
