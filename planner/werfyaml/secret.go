package werfyaml

import (
	"bytes"
	"path"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// Secret is what a RUN instruction may mount by its id. Exactly one of Env, Src
// and Value is set.
type Secret struct {
	ID    string
	Env   string // a variable of the environment of the run
	Src   string // a file: relative to the project, absolute, or from ~
	Value string // the secret itself: never for logs, errors or keys
}

// String hides the value.
func (s Secret) String() string {
	switch {
	case s.Env != "":
		return s.ID + " from env " + s.Env
	case s.Src != "":
		return s.ID + " from src " + s.Src
	}
	return s.ID + " from value"
}

// GoString is String, so that no format prints the value.
func (s Secret) GoString() string { return s.String() }

func (s *section) secrets(into *[]Secret) func(field) {
	return func(f field) {
		first := map[string]diag.Pos{}
		for _, item := range s.items(f) {
			secret, ok := s.secret(item)
			if !ok {
				continue
			}
			if at, twice := first[secret.ID]; twice {
				s.errs.Add(item.at.Errorf("two secrets have the id %q; the first is on line %d", secret.ID, at.Line).
					Advise("give one of them another id: a secret without one has the name of its variable or file"))
				continue
			}
			first[secret.ID] = item.at
			*into = append(*into, secret)
		}
	}
}

func (s *section) secret(item field) (secret Secret, ok bool) {
	before := len(s.errs)
	fields, ok := s.submapping(item)
	if !ok {
		return secret, false
	}
	sources := 0
	source := func(into *string) func(field) {
		return func(f field) {
			sources++
			*into, _ = s.filled(f)
		}
	}
	given := s.read(fields, vocabulary{strconv.Quote(item.path), []key{
		{name: "id", read: func(f field) { secret.ID, _ = s.filled(f) }},
		{name: "env", read: source(&secret.Env)},
		{name: "src", read: source(&secret.Src)},
		{name: "value", read: source(&secret.Value)},
	}})
	switch {
	case sources > 1:
		s.errs.Add(item.at.Errorf("%q has more than one of env, src and value", item.path).Advise("write a secret for each"))
	case sources == 0 && len(s.errs) == before:
		s.errs.Add(item.at.Errorf("%q has none of env, src and value", item.path).
			Advise("say where it comes from: env: and a variable, or src: and a file"))
	case secret.Value != "" && !given["id"]:
		s.errs.Add(item.at.Errorf("%q has a value and no id", item.path).Advise("give it one: id: token"))
	case secret.ID == "" && secret.Env != "":
		secret.ID = secret.Env
	case secret.ID == "" && secret.Src != "":
		secret.ID = path.Base(secret.Src)
	}
	return secret, len(s.errs) == before
}

// redact empties the lines that the values of secrets are on, so that no
// diagnostic shows them: a template may have put them there.
func redact(text []byte, roots []*yaml.Node) []byte {
	r := redactor{lines: bytes.SplitAfter(text, []byte("\n")), seen: map[*yaml.Node]bool{}, inSecrets: map[*yaml.Node]bool{}}
	for _, root := range roots {
		r.walk(root, false)
	}
	slices.Sort(r.starts)
	for _, value := range r.values {
		r.hide(value)
	}
	return bytes.Join(r.lines, nil)
}

type redactor struct {
	lines           [][]byte
	starts          []int        // the lines that nodes begin on
	values          []*yaml.Node // the secrets
	seen, inSecrets map[*yaml.Node]bool
}

func (r *redactor) walk(n *yaml.Node, secrets bool) {
	seen := r.seen
	if secrets {
		seen = r.inSecrets
	}
	if n = yamlnode.Resolve(n); seen[n] {
		return
	}
	seen[n] = true
	r.starts = append(r.starts, n.Line)
	for i, child := range n.Content {
		key := ""
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			key = yamlnode.Resolve(n.Content[i-1]).Value
		}
		if secrets && key == "value" {
			r.values = append(r.values, yamlnode.Resolve(child))
		}
		r.walk(child, secrets || key == "secrets")
	}
}

// hide empties the lines of a value. Where the first line does not have all of
// it, that is up to the line where the next node begins, in which it may end.
func (r *redactor) hide(value *yaml.Node) {
	first, last := value.Line, value.Line
	if first < 1 || first > len(r.lines) {
		return
	}
	if value.Kind != yaml.ScalarNode || !bytes.Contains(r.lines[first-1], []byte(value.Value)) {
		last = len(r.lines)
		if next, _ := slices.BinarySearch(r.starts, first+1); next < len(r.starts) {
			last = min(r.starts[next], last)
		}
	}
	for line := first; line <= last; line++ {
		if len(r.lines[line-1]) > 0 {
			r.lines[line-1] = []byte("\n")
		}
	}
}
