package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"

	"slipway/planner/diag"
)

// builtins are the names that text/template itself knows.
var builtins = func() map[string]any {
	m := map[string]any{}
	for _, name := range builtinNames {
		m[name] = true
	}
	return m
}()

var builtinNames = strings.Fields(`and call eq ge gt html index js le len lt ne not or print printf println slice urlquery`)

// funcs are the functions that templates can call, besides text/template's.
func (r *run) funcs() template.FuncMap {
	all := sprig.TxtFuncMap()
	maps.Copy(all, template.FuncMap{
		// text/template's own that make text, so that it is counted.
		"print":    fmt.Sprint,
		"println":  fmt.Sprintln,
		"printf":   printf,
		"html":     template.HTMLEscaper,
		"js":       template.JSEscaper,
		"urlquery": template.URLQueryEscaper,

		"required": required,
		"fromYaml": fromYaml,
		"toYaml":   toYaml,
		"printf_debug": func(format string, args ...any) (string, error) {
			text, err := printf(format, args...)
			r.debug("%s", text)
			return "", err
		},
		"dump_debug": func(v any) (string, error) {
			text, err := toYaml(v)
			r.debug("%T:\n%s", v, text)
			return "", err
		},
	})
	maps.Copy(all, repeatable)
	for name, fn := range all {
		all[name] = r.guard(name, fn)
	}
	for name, why := range refused {
		all[name] = refuse(name, why)
	}
	// These count what they do themselves.
	maps.Copy(all, template.FuncMap{
		"env":     r.env,
		"include": func(name string, data any) (string, error) { return r.call("include", name, data) },
		"tpl":     r.tpl,
		"include_debug": func(name string, data any) (string, error) {
			text, err := r.call("include_debug", name, data)
			r.debug("include %q:\n%s", name, text)
			return text, err
		},
		"tpl_debug": func(text string, data any) (string, error) {
			result, err := r.tpl(text, data)
			r.debug("tpl of:\n%s\ngives:\n%s", text, result)
			return result, err
		},
	})
	return all
}

// call renders a named template.
func (r *run) call(how, name string, data any) (string, error) {
	t := r.templates.Lookup(name)
	if t == nil || t.Tree == nil {
		return "", r.unknownTemplate(name)
	}
	return r.execute(t, data, fmt.Sprintf("by %s %q", how, name))
}

func (r *run) unknownTemplate(name string) error {
	var names []string
	for _, t := range r.templates.Templates() {
		if t.Name() != "" && t.Name()[0] != 0 {
			names = append(names, t.Name())
		}
	}
	slices.Sort(names)
	m := &mistake{message: fmt.Sprintf("there is no template %q", name), advice: diag.DidYouMean(name, names)}
	if m.advice == "" {
		m.advice = fmt.Sprintf("a template is a file %s/**/*.tmpl, by its path in that directory, or a name in {{ define }}", r.dir)
	}
	return m
}

// tpl renders a text as a template. What it defines stays defined: the files of
// a project may be put together from each other's definitions.
func (r *run) tpl(text string, data any) (string, error) {
	if err := r.spend(callWork + len(text)); err != nil {
		return "", err
	}
	p := r.texts[text]
	if p == nil {
		// Most such texts are files that the template has read.
		file := r.files.owner[text]
		if file == "" {
			file = "text given to tpl"
		}
		p = r.parse(file, text, false)
		r.texts[text] = p
	}
	if p.err != nil {
		return "", (&failure{diag: *p.err}).through("by tpl")
	}
	r.define(p)
	return r.execute(r.templates.Lookup(p.name), data, "by tpl")
}

func (r *run) execute(t *template.Template, data any, how string) (string, error) {
	if r.depth >= maxDepth {
		return "", &mistake{
			message: fmt.Sprintf("templates include each other more than %d deep", maxDepth),
			advice:  "a template that includes itself must come to an end",
		}
	}
	r.depth++
	defer func() { r.depth-- }()
	var b bytes.Buffer
	if err := t.Execute(counted{&r.budget, &b}, data); err != nil {
		return "", r.failed(err).through(how)
	}
	return b.String(), r.spend(callWork)
}

// env is `env NAME [DEFAULT]`. An empty variable counts as unset if there is a
// default; without one an unset variable is an error.
func (r *run) env(name string, fallback ...string) (string, error) {
	if len(fallback) > 1 {
		return "", &mistake{message: fmt.Sprintf("env takes a name and one default, not %d", len(fallback)),
			advice: `write {{ env "NAME" "default" }}`}
	}
	var value string
	var set bool
	var err error
	if r.project.Getenv != nil {
		value, set, err = r.project.Getenv(name)
	}
	switch {
	case errors.Is(err, ErrForbidden) && r.assumed[name]:
		value, set = "", true
	case errors.Is(err, ErrForbidden):
		return "", &mistake{
			message:   fmt.Sprintf("giterminism does not allow reading the environment variable %q", name),
			forbidden: name,
		}
	case err != nil:
		return "", &projectError{err}
	}
	switch {
	case value == "" && len(fallback) == 1:
		value = fallback[0]
	case !set:
		return "", &mistake{
			message: fmt.Sprintf("the environment variable %q is not set", name),
			advice:  fmt.Sprintf("set it, or give a default: {{ env %q \"default\" }}", name),
		}
	}
	return value, r.spend(callWork + len(value))
}

// required is its value, unless that is nil or empty text.
func required(message string, v any) (any, error) {
	if v == nil || v == "" {
		return nil, &mistake{message: message}
	}
	return v, nil
}

// fromYaml decodes the first YAML document of a text. Whole numbers are int,
// where a decoder that goes by way of JSON would have made them float64, which
// prints 1000000 as 1e+06.
func fromYaml(text string) (any, error) {
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: "))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if v == nil {
		return map[string]any{}, nil // so that its fields print <no value>
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return v
}

// toYaml is the value as YAML, keys sorted, without the last line end.
func toYaml(v any) (string, error) {
	data, err := yaml.Marshal(v)
	if err != nil {
		return "", errors.New(strings.TrimPrefix(err.Error(), "error marshaling into JSON: "))
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

func (r *run) debug(format string, args ...any) {
	if r.project.Debug != nil {
		// What cannot be printed for debugging does not end the run.
		_, _ = fmt.Fprintf(r.project.Debug, format+"\n", args...)
	}
}
