package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// Values are what is laid over the chart's own values.yaml when the chart is
// loaded, with the meaning and in the order that Helm gives them: files first,
// then SetJSON, Set, SetString, SetFile and SetLiteral, the later over the earlier.
// Only the service values are over them.
type Values struct {
	NoDefaults bool // leaves out what values.yaml says
	Files      []File
	// What follows is in the syntax of Helm's flags of these names.
	SetJSON, Set, SetString, SetFile, SetLiteral []string
	// SecretFiles are files of encrypted values, merged over secret-values.yaml, which
	// NoDefaultSecrets leaves out. They are never decrypted, and no key is needed.
	SecretFiles      []File
	NoDefaultSecrets bool
	// ReadFile reads the files that SetFile names.
	ReadFile func(name string) ([]byte, error)
}

// File is a file of values.
type File struct {
	Name string // as people know it
	Path string // in the file system of the chart; "" if it is not there
	Data []byte
}

func (v Values) empty() bool {
	return !v.NoDefaults && len(v.Files)+len(v.SetJSON)+len(v.Set)+len(v.SetString)+len(v.SetFile)+len(v.SetLiteral) == 0
}

// FilesOfSet are the files that a --set-file names, as far as it can be read.
func FilesOfSet(set string) []string {
	var names []string
	// What is wrong with it is told when it is parsed to be used.
	_ = strvals.ParseIntoFile(set, map[string]any{}, func(name []rune) (any, error) {
		names = append(names, string(name))
		return "", nil
	})
	return names
}

// merged is all that is laid over the chart's values.
func (v Values) merged() (map[string]any, error) {
	all := map[string]any{}
	for _, f := range v.Files {
		values, err := parseValues(f.Name, f.Data)
		if err != nil {
			return nil, err
		}
		overlay(all, values, func(string) bool { return true })
	}
	var unread error // is told as it is
	readFile := func(name []rune) (any, error) {
		data, err := v.ReadFile(string(name))
		unread = err
		return string(data), err
	}
	for _, set := range []struct {
		flag  string
		given []string
		parse func(string, map[string]any) error
	}{
		{"--set-json", v.SetJSON, strvals.ParseJSON},
		{"--set", v.Set, strvals.ParseInto},
		{"--set-string", v.SetString, strvals.ParseIntoString},
		{"--set-file", v.SetFile, func(s string, dest map[string]any) error { return strvals.ParseIntoFile(s, dest, readFile) }},
		{"--set-literal", v.SetLiteral, strvals.ParseLiteralInto},
	} {
		for _, s := range set.given {
			err := set.parse(s, all)
			if unread != nil {
				return nil, unread
			}
			if err != nil {
				// Not the value: it may be one that no log should show.
				key, _, _ := strings.Cut(s, "=")
				return nil, &Error{Message: fmt.Sprintf("%s %s=…: %v", set.flag, key, err)}
			}
		}
	}
	return all, nil
}

// layOver puts values over the chart's own: what becomes of values.yaml.
func (s *Source) layOver(v Values) error {
	values, err := s.values()
	if err != nil {
		return err
	}
	if v.NoDefaults {
		values = map[string]any{}
	}
	over, err := v.merged()
	if err != nil {
		return err
	}
	// In a sub-chart's values null stays, since it removes a default there.
	overlay(values, over, func(key string) bool {
		return slices.ContainsFunc(s.chart.Metadata.Dependencies, func(d *helm.Dependency) bool { return d.Name == key || d.Alias == key }) ||
			slices.ContainsFunc(s.chart.Dependencies(), func(c *helm.Chart) bool { return c.Name() == key })
	})
	data, err := yaml.Marshal(values)
	if err != nil {
		return &Error{Message: fmt.Sprintf("the values given for the chart cannot be written as YAML: %v", err)}
	}
	s.files[valuesFile] = data
	return nil
}

// overlay lays values over others as Helm does: maps are merged at every depth,
// anything else replaces, null removes what there is. Under the keys that keepNull tells, null
// is a value like any other.
func overlay(base, over map[string]any, keepNull func(key string) bool) {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		keep := keepNull(key)
		sub, isMap := over[key].(map[string]any)
		switch {
		case over[key] == nil && !keep:
			if _, had := base[key]; had {
				delete(base, key)
			} else {
				base[key] = nil
			}
		case isMap:
			old, wasMap := base[key].(map[string]any)
			if !wasMap {
				old = map[string]any{}
				base[key] = old
			}
			overlay(old, sub, func(string) bool { return keep })
		default:
			base[key] = over[key]
		}
	}
}

// shown is a file of the chart by its path in the project.
func (s *Source) shown(name string) string { return path.Join(s.dir, name) }
