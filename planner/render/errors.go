package render

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"slipway/planner/diag"
)

// mistake is an error of a function that is meant for people as it is.
type mistake struct {
	message, advice string
	forbidden       string // the environment variable that may not be read
}

func (m *mistake) Error() string { return m.message }

// projectError is a project that could not be read: not the template's mistake,
// unless the project says so with a diagnostic.
type projectError struct{ err error }

func (e *projectError) Error() string { return e.err.Error() }
func (e *projectError) Unwrap() error { return e.err }

// named says which function failed, where that does not say so itself.
func named(name string, err error) error {
	var m *mistake
	if name == "fail" || errors.As(err, &m) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// failure is an error on its way out through the templates that led to it.
type failure struct {
	diag      diag.Diagnostic
	chain     []string // how the text was reached, innermost first
	how       string   // what reached the innermost text that is not in chain yet
	forbidden string
	internal  bool // not the user's mistake
	cause     error
}

func (f *failure) Error() string { return f.diag.Message }

// through notes what the failed text was reached by; the position follows when
// the error arrives there.
func (f *failure) through(how string) *failure {
	f.how = how
	return f
}

// maxChain is how many steps of a chain are shown at each end.
const maxChain = 5

// diagnostic puts the way that led there into the advice.
func (f *failure) diagnostic() *diag.Diagnostic {
	d := f.diag
	chain := f.chain
	if n := len(chain) - 2*maxChain; n > 1 {
		chain = slices.Concat(chain[:maxChain], []string{fmt.Sprintf("... and %d more", n)}, chain[len(chain)-maxChain:])
	}
	if d.Advice != "" {
		chain = append(slices.Clone(chain), d.Advice)
	}
	d.Advice = strings.Join(chain, "\n")
	return &d
}

// location is how text/template begins its errors: the name that the text was
// parsed under (see parse), the line, and the column in bytes from 0.
var (
	location  = regexp.MustCompile(`(?s)\Atemplate: \x00(\d+):(\d+)(?::(\d+))?: (.*)\z`)
	nameInMsg = regexp.MustCompile(`\x00\d+`)
)

// place is where an error of text/template points to.
type place struct {
	source
	line, column int // 1-based, in characters; 0 where not known
}

func (p place) pos() diag.Pos {
	if p.file == "" {
		return diag.Pos{}
	}
	return diag.NewSource(p.file, []byte(p.text)).Pos(p.line, p.column)
}

// at is the place that an error of text/template names, and its rest.
func (r *run) at(err error) (p place, rest string, ok bool) {
	m := location.FindStringSubmatch(err.Error())
	if m == nil {
		return place{}, err.Error(), false
	}
	i, _ := strconv.Atoi(m[1])
	p.source = r.sources[i]
	p.line, _ = strconv.Atoi(m[2])
	if m[3] != "" {
		// Bytes to characters.
		bytes, _ := strconv.Atoi(m[3])
		start := lineStarts(p.text)[p.line-1]
		p.column = 1 + utf8.RuneCountInString(p.text[start:min(start+bytes, len(p.text))])
	}
	return p, m[4], true
}

// failed makes the failure of what Execute returned; one that comes from an
// inner template gets this one's step of the chain.
func (r *run) failed(err error) *failure {
	at, rest, ok := r.at(err)
	where := fmt.Sprintf("%s:%d:%d", at.file, at.line, at.column)
	var inner *failure
	if errors.As(err, &inner) {
		if ok {
			inner.chain = append(inner.chain, fmt.Sprintf("included from %s %s", where, inner.how))
		}
		return inner
	}
	f := &failure{cause: err}
	pos := at.pos()
	var m *mistake
	var p *projectError
	var d *diag.Diagnostic
	switch {
	case errors.As(err, &d):
		f.diag = *pos.Errorf("%s", d.Message).Advise("%s", d.Advice)
	case errors.As(err, &m):
		f.forbidden = m.forbidden
		f.diag = *pos.Errorf("%s", m.message).Advise("%s", m.advice)
	case errors.As(err, &p):
		f.internal = true
		if f.cause = p.err; ok {
			f.cause = fmt.Errorf("%s: %w", where, p.err)
		}
	default:
		message, expression := rest, ""
		if cause := calledCause(err); cause != nil {
			message = cause.Error()
		} else if i := strings.LastIndex(rest, ">: "); i >= 0 {
			_, expression, _ = strings.Cut(rest[:i], " at <")
			message = rest[i+len(">: "):]
		}
		message, advice := plain(message)
		if fields := fieldsOf.FindStringSubmatch(expression); advice == "" && fields != nil {
			advice = map[string]string{
				"Files":  ".Files has Get, Glob, Exists and IsDir",
				"Commit": ".Commit has Hash, Date.Human and Date.Unix",
				"Env":    ".Env is a text: what --env gives",
			}[fields[1]]
		}
		f.diag = *pos.Errorf("%s", message).Advise("%s", advice)
	}
	return f
}

var fieldsOf = regexp.MustCompile(`\A\$?\.(Files|Commit|Env)\.`)

// calledCause is what the function said whose call failed, without what
// text/template puts around it.
func calledCause(err error) error {
	var exec template.ExecError
	if errors.As(err, &exec) {
		return errors.Unwrap(exec.Err)
	}
	return nil
}

// parseError makes the diagnostic of a text that could not be parsed.
func (r *run) parseError(err error) *diag.Diagnostic {
	at, rest, _ := r.at(err)
	rest = strings.TrimPrefix(rest, "template: ")
	if line := unclosedBefore(at.text, at.line); line > 0 {
		at.line, at.column, rest = line, 0, unclosed
	}
	if m := startedAt.FindStringSubmatch(rest); m != nil {
		rest = m[1]
		if rest == unclosed {
			// Its end is where it was noticed; its start is where to look.
			at.line, _ = strconv.Atoi(m[2])
		}
	}
	message, advice := plain(nameInMsg.ReplaceAllString(rest, "line "))
	d := at.pos().Errorf("%s", message).Advise("%s", advice)
	if m := unknownFunction.FindStringSubmatch(rest); m != nil {
		d.Advice = diag.DidYouMean(m[1], r.functionNames())
		if i := wordIndex(d.Source, m[1]); i >= 0 {
			d.Column = 1 + utf8.RuneCountInString(d.Source[:i])
		}
	}
	return d
}

// unclosedBefore is the line of an action that was begun before the given line and
// goes on in it, though another begins before its end; 0 if there is none. What
// follows is text then that was parsed as a part of it.
func unclosedBefore(text string, line int) int {
	starts := lineStarts(text)
	if line < 1 || line > len(starts) {
		return 0
	}
	before := text[:starts[line-1]]
	begin := strings.LastIndex(before, "{{")
	if begin < 0 || strings.Contains(before[begin:], "}}") {
		return 0
	}
	rest := text[begin+len("{{"):]
	if end, next := strings.Index(rest, "}}"), strings.Index(rest, "{{"); end >= 0 && (next < 0 || end < next) {
		return 0
	}
	return 1 + strings.Count(text[:begin], "\n")
}

const unclosed = "unclosed action"

var (
	startedAt       = regexp.MustCompile("(?s)\\A(.*?)(?: in action)? started at \x00\\d+:(\\d+)\\z")
	unknownFunction = regexp.MustCompile(`\Afunction "(.*)" not defined\z`)
)

func wordIndex(line, word string) int {
	m := regexp.MustCompile(`(?:\A|[^\w.$])(` + regexp.QuoteMeta(word) + `)(?:\W|\z)`).FindStringSubmatchIndex(line)
	if m == nil {
		return -1
	}
	return m[2]
}

// forbiddenError is all diagnostics of variables that may not be read, and
// what to write once to allow them all.
func forbiddenError(found diag.List, names []string) error {
	var lines strings.Builder
	for _, name := range names {
		if !plainName.MatchString(name) {
			name = strconv.Quote(name)
		}
		fmt.Fprintf(&lines, "\n      - %s", name)
	}
	list, ok := found.Err().(diag.List)
	if !ok {
		return found.Err()
	}
	last := list[len(list)-1]
	if last.Advice != "" {
		last.Advice += "\n"
	}
	last.Advice += "allow it in werf-giterminism.yaml, under config.goTemplateRendering.allowEnvVariables, and commit that file:\n\n" +
		"giterminismConfigVersion: 1\nconfig:\n  goTemplateRendering:\n    allowEnvVariables:" + lines.String()
	return list
}

var plainName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)
