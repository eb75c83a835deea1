package render

import (
	"fmt"
	"maps"
	"strings"

	"slipway/stages/chart/render/wire"

	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// Values is what a user sets over a chart's values, as Helm's flags have it.
type Values struct {
	Files     []string // of --values
	Set       []string // of --set: path=value,…
	SetString []string // of --set-string
	SetFile   []string // of --set-file: path=file
	SetJSON   []string // of --set-json
}

// Merge is one map of all of them, with Helm's precedence: files in their order,
// then --set-json, --set, --set-string and --set-file. read reads a file. Mistakes
// are an *Error, which does not hold a value.
func (v Values) Merge(read func(name string) ([]byte, error)) (map[string]any, error) {
	merged := map[string]any{}
	for _, name := range v.Files {
		text, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("reading --values %s: %w", name, err)
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, &Error{File: name, Message: "the values cannot be read: " + strings.TrimPrefix(wire.Plain(err.Error()), "yaml: ")}
		}
		merged = Over(merged, values)
	}
	file := func(name []rune) (any, error) {
		text, err := read(string(name))
		return string(text), err
	}
	for _, flag := range []struct {
		name  string
		given []string
		parse func(string) error
	}{
		{"--set-json", v.SetJSON, func(s string) error { return strvals.ParseJSON(s, merged) }},
		{"--set", v.Set, func(s string) error { return strvals.ParseInto(s, merged) }},
		{"--set-string", v.SetString, func(s string) error { return strvals.ParseIntoString(s, merged) }},
		{"--set-file", v.SetFile, func(s string) error { return strvals.ParseIntoFile(s, merged, file) }},
	} {
		for i, given := range flag.given {
			if err := flag.parse(given); err != nil {
				return nil, &Error{Message: fmt.Sprintf("%s number %d: %v", flag.name, i+1, err)}
			}
		}
	}
	return merged, nil
}

// Over is base with over on top, neither changed: mappings are merged at every
// depth, anything else is replaced.
func Over(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range over {
		below, isMap := out[key].(map[string]any)
		above, overIsMap := value.(map[string]any)
		if isMap && overIsMap {
			out[key] = Over(below, above)
			continue
		}
		out[key] = value
	}
	return out
}
