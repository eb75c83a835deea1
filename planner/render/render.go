// Package render turns the text of werf.yaml, a Go template, into the YAML that
// is parsed. The same project at the same commit gives the same bytes on any
// machine and at any time: what a template can learn comes through Project, and
// functions that read the machine, the clock or chance are refused by name.
//
// It must never know what the YAML means, nor where the project's files come
// from, nor which environment variables are allowed.
package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/template"

	"slipway/planner/diag"
)

// ErrForbidden is what Project.Getenv returns, bare or wrapped, for a variable
// that giterminism does not let templates read.
var ErrForbidden = errors.New("not allowed by giterminism")

// Project is all that templates can see. Its zero value is a project with no
// files, no environment and no commit.
type Project struct {
	Files        fs.FS  // the project at the commit, for .Files and templates
	TemplatesDir string // where *.tmpl are, relative to the project; "" is .werf
	Env          string // .Env

	// Commit is asked once, and only by a template that uses .Commit.
	Commit func() (Commit, error)

	// Getenv is asked for each variable that a template reads. To read an unset
	// variable without a default is an error; where that is to be let pass, say
	// that the variable is set, and empty.
	Getenv func(name string) (value string, set bool, err error)

	Debug io.Writer // where the *_debug functions print; nil is nowhere
}

// Commit is what templates can know of the commit.
type Commit struct {
	Hash  string
	Human string // the committer's date, for people
	Unix  int64  // the same, in seconds since 1970
}

// Output is the rendered text and what it was made of.
type Output struct {
	Text []byte

	// Rendered is false where the text holds no action and so is the file's own.
	Rendered bool

	// Files are the paths whose content, kind or absence the text depends on,
	// and Globs the patterns whose matches it depends on (see Match): sorted,
	// relative to the project, without werf.yaml itself.
	Files, Globs []string

	origin         []int // for each line of Text, the line of the file it comes from
	source, result []string
}

// Line is the line of the file that made the given line of Text, both 1-based;
// 0 if there is no such line. It is exact if the two are the same, byte for
// byte: then a position in one is a position in the other. Otherwise the line
// is that of the action, or of the start of the text, which made it.
func (o *Output) Line(n int) (line int, exact bool) {
	if n < 1 || n > len(o.origin) {
		return 0, false
	}
	line = o.origin[n-1]
	return line, line <= len(o.source) && o.source[line-1] == o.result[n-1]
}

// Render renders the text of the named file. Its errors are diagnostics (see
// package diag), several where several are independent of each other, unless
// ctx ended or the project could not be read.
func Render(ctx context.Context, file string, text []byte, p Project) (*Output, error) {
	return render(ctx, file, text, p, maxWork)
}

func render(ctx context.Context, file string, text []byte, p Project, work int) (*Output, error) {
	if !bytes.Contains(text, []byte("{{")) {
		o := &Output{Text: text}
		o.setLines(string(text), nil)
		return o, nil
	}
	// A project that was never run under giterminism reads several forbidden
	// variables. So as to name all of them, the text is rendered again as if
	// those found so far were allowed and empty, until no other turns up. What
	// else goes wrong then may come from the assumption, and is not told.
	var forbidden diag.List
	var names []string
	for {
		r := newRun(ctx, p, work, names)
		out, f := r.render(file, string(text))
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("rendering %s: %w", file, context.Cause(ctx))
		}
		switch {
		case f != nil && f.forbidden != "" && len(names) < maxForbidden:
			forbidden.Add(f.diagnostic())
			names = append(names, f.forbidden)
			p.Debug = nil
		case len(names) > 0:
			return nil, forbiddenError(forbidden, names)
		case r.parseErrors != nil:
			return nil, r.parseErrors.Err()
		case f != nil && f.internal:
			return nil, fmt.Errorf("rendering %s: %w", file, f.cause)
		case f != nil:
			return nil, f.diagnostic()
		default:
			return out, nil
		}
	}
}

// maxForbidden bounds how often a text is rendered to find forbidden variables.
const maxForbidden = 100

// run is one rendering.
type run struct {
	budget
	project   Project
	dir       string          // of templates
	assumed   map[string]bool // forbidden variables that are taken as empty
	functions template.FuncMap
	templates *template.Template
	sources   []source
	texts     map[string]*parsed // what tpl has parsed, by text
	depth     int                // of include, template and tpl
	out       lineWriter
	files     *files

	parseErrors diag.List
}

func newRun(ctx context.Context, p Project, work int, assumed []string) *run {
	r := &run{
		budget:  budget{ctx: ctx, left: work},
		project: p,
		dir:     ".werf",
		assumed: map[string]bool{},
		texts:   map[string]*parsed{},
	}
	if p.TemplatesDir != "" {
		r.dir = p.TemplatesDir
	}
	for _, name := range assumed {
		r.assumed[name] = true
	}
	r.files = newFiles(r, p.Files)
	r.functions = r.funcs()
	all := maps.Clone(r.functions)
	maps.Copy(all, r.hooks())
	r.templates = template.New("").Funcs(all)
	return r
}

func (r *run) render(file, text string) (out *Output, f *failure) {
	// text/template recovers from what functions do; this is for its own bugs.
	defer func() {
		if p := recover(); p != nil {
			out, f = nil, &failure{internal: true, cause: fmt.Errorf("the template engine failed: %v", p)}
		}
	}()
	if err := r.loadTemplates(); err != nil {
		return nil, r.failed(err)
	}
	main := r.parse(file, text, true)
	if main.err != nil {
		r.parseErrors.Add(main.err)
	}
	if r.parseErrors != nil {
		return nil, nil
	}
	r.define(main)
	data := map[string]any{
		"Files":  r.files,
		"Env":    r.project.Env,
		"Commit": &commit{ask: r.project.Commit},
	}
	t := r.templates.Lookup(main.name)
	if err := t.Execute(counted{&r.budget, &r.out}, data); err != nil {
		return nil, r.failed(err)
	}
	if err := r.spend(0); err != nil {
		return nil, r.failed(err)
	}
	result := r.out.text.String()
	out = &Output{
		Text:     []byte(result),
		Rendered: true,
		Files:    slices.Sorted(maps.Keys(r.files.read)),
		Globs:    slices.Sorted(maps.Keys(r.files.globs)),
	}
	out.setLines(text, r.out.lines())
	return out, nil
}

// loadTemplates parses every *.tmpl of the templates directory, in the order of
// their paths. Each is known by its path there and by the names it defines;
// where two define one name the later wins, and werf.yaml is the last.
func (r *run) loadTemplates() error {
	dir, err := clean(r.dir)
	if err != nil {
		return err
	}
	paths, err := r.files.match(escapeGlob(dir) + "/**/*.tmpl")
	if err != nil {
		return err
	}
	for _, name := range paths {
		text, err := r.files.content(name)
		if err != nil {
			return &projectError{err}
		}
		p := r.parse(name, text, false)
		if p.err != nil {
			r.parseErrors.Add(p.err)
			continue
		}
		p.alias = strings.TrimPrefix(name, dir+"/")
		r.define(p)
	}
	return nil
}
