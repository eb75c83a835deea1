package werfyaml

import (
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"slipway/planner/yamlnode"
)

// text reads a key that wants text. A number stands for its own digits (target:
// 1.10 is "1.10"). A key with no value is as if it were not there.
func (s *section) text(f field) (text string, ok bool) {
	if yamlnode.IsNull(f.value) {
		return "", false
	}
	text, ok = scalarText(f.value)
	if !ok {
		d := f.at.Errorf("%q must be text, found %s", f.path, yamlnode.Describe(f.value))
		if f.value.Kind == yaml.ScalarNode && f.value.ShortTag() == "!!bool" {
			d.Advise("put it in quotes if it is a name: %q", f.value.Value)
		}
		s.errs.Add(d)
	}
	return text, ok
}

// filled reads text that must be there and not be empty.
func (s *section) filled(f field) (text string, ok bool) {
	if yamlnode.IsNull(f.value) {
		s.errs.Add(f.keyAt.Errorf("%q has no value", f.path))
		return "", false
	}
	text, ok = s.text(f)
	if ok && text == "" {
		s.errs.Add(f.at.Errorf("%q must not be empty", f.path))
		return "", false
	}
	return text, ok
}

// textTo, boolTo, intTo, textsTo and mapTo make what reads a key into a place.
// A key with no value leaves the place as it is.
func (s *section) textTo(into *string) func(field) {
	return func(f field) {
		if text, ok := s.text(f); ok {
			*into = text
		}
	}
}

func (s *section) boolTo(into *bool) func(field) {
	return func(f field) {
		if yamlnode.IsNull(f.value) {
			return
		}
		value, ok := yamlnode.Boolean(f.value)
		if !ok {
			s.errs.Add(f.at.Errorf("%q must be true or false, found %s", f.path, yamlnode.Describe(f.value)))
			return
		}
		*into = value
	}
}

func (s *section) intTo(into *int, least int) func(field) {
	return func(f field) {
		if yamlnode.IsNull(f.value) {
			return
		}
		var n int
		if f.value.Kind != yaml.ScalarNode || f.value.ShortTag() != "!!int" || f.value.Decode(&n) != nil || n < least {
			s.errs.Add(f.at.Errorf("%q must be a whole number, at least %d, found %s", f.path, least, yamlnode.Describe(f.value)))
			return
		}
		*into = n
	}
}

// textsTo reads a list of text, and has each checked; a nil check accepts all.
// A list with nothing in it is not nil.
func (s *section) textsTo(into *[]string, check func(string) error) func(field) {
	return func(f field) {
		if yamlnode.IsNull(f.value) {
			return
		}
		texts := []string{}
		for _, item := range s.items(f) {
			text, ok := s.text(item)
			if !ok {
				continue
			}
			if check != nil {
				if err := check(text); err != nil {
					s.errs.Add(item.at.Errorf("%q %v", item.path, err))
					continue
				}
			}
			texts = append(texts, text)
		}
		*into = texts
	}
}

// notEmpty is a check for textsTo.
func notEmpty(text string) error {
	if text == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// entry says what the entries of a mapping are and how they are read.
type entry struct {
	noun  string // for messages: "argument"
	name  func(string) error
	value func(*yaml.Node) (string, error)
}

// mapTo reads a mapping of names to text. It adds to what is there.
func (s *section) mapTo(into *map[string]string, e entry) func(field) {
	return func(f field) {
		if f.value.Kind == yaml.SequenceNode {
			s.errs.Add(f.at.Errorf("%q must be a mapping of names to values, found a list", f.path).
				Advise("write a line for each under %s, with no hyphen: NAME: value", f.key))
			return
		}
		fields, _ := s.submapping(f)
		for _, v := range fields {
			if yamlnode.IsNull(v.value) {
				s.errs.Add(v.keyAt.Errorf("%s %q has no value", e.noun, v.key).
					Advise(`put it in quotes: "" for empty text, "null" for that word`))
				continue
			}
			if err := e.name(v.key); err != nil {
				s.errs.Add(v.keyAt.Errorf("the name of %s %.60q %v", e.noun, v.key, err))
				continue
			}
			text, err := e.value(v.value)
			if err != nil {
				s.errs.Add(v.at.Errorf("%s %q %v", e.noun, v.key, err))
				continue
			}
			if *into == nil {
				*into = map[string]string{}
			}
			(*into)[v.key] = text
			s.at[v.path] = v.at
		}
	}
}

func scalarText(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!timestamp", "!!merge":
		return n.Value, true
	}
	return "", false
}

// argument makes the text of a build argument as Go prints the value that YAML
// gives: yes is "true", 0x10 is "16", 1.50 is "1.5". Only quotes keep a value
// as it is written.
func argument(n *yaml.Node) (string, error) {
	if b, ok := yamlnode.Boolean(n); ok {
		return fmt.Sprint(b), nil
	}
	if n.Kind == yaml.ScalarNode {
		switch n.ShortTag() {
		case "!!str", "!!timestamp", "!!merge":
			return n.Value, nil
		case "!!int", "!!float":
			var number any
			if n.Decode(&number) == nil {
				return fmt.Sprint(number), nil
			}
		}
	}
	return "", fmt.Errorf("must be text, a number or a boolean, found %s", yamlnode.Describe(n))
}

// variableName checks the name of a build argument or environment variable.
func variableName(name string) error {
	if name == "" || strings.Contains(name, "=") {
		return fmt.Errorf("must not be empty and have no =")
	}
	return nil
}

// written is the text of a scalar as it is written: yes stays "yes".
func written(n *yaml.Node) (string, error) {
	if _, ok := yamlnode.Boolean(n); ok {
		return n.Value, nil
	}
	if text, ok := scalarText(n); ok {
		return text, nil
	}
	return "", fmt.Errorf("must be text, a number or a boolean, found %s", yamlnode.Describe(n))
}

// duration reads a time of at least 0: a Go duration, or, where seconds says
// so, a whole number of seconds.
func duration(n *yaml.Node, seconds bool) (time.Duration, error) {
	const most = math.MaxInt64 / int64(time.Second)
	text, ok := scalarText(n)
	if ok && seconds && n.ShortTag() == "!!int" {
		var count int64
		if n.Decode(&count) == nil && count >= 0 && count <= most {
			return time.Duration(count) * time.Second, nil
		}
	} else if d, err := time.ParseDuration(text); ok && err == nil && d >= 0 && n.ShortTag() == "!!str" {
		return d, nil
	}
	if seconds {
		return 0, fmt.Errorf("must be a number of seconds or a duration such as 1m30s, found %s", yamlnode.Describe(n))
	}
	return 0, fmt.Errorf("must be a duration such as 168h, found %s", yamlnode.Describe(n))
}

func (s *section) durationTo(into *time.Duration, seconds bool) func(field) {
	return func(f field) {
		if yamlnode.IsNull(f.value) {
			return
		}
		d, err := duration(f.value, seconds)
		if err != nil {
			s.errs.Add(f.at.Errorf("%q %v", f.path, err))
			return
		}
		*into = d
	}
}

var windowsDrive = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

// cleanPath cleans a path that must not be empty and must be relative to what
// base names. It may still begin with "..".
func cleanPath(text, base string) (string, error) {
	switch {
	case text == "":
		return "", fmt.Errorf("must not be empty")
	case path.IsAbs(text) || strings.HasPrefix(text, `\`) || windowsDrive.MatchString(text):
		return "", fmt.Errorf("must be relative to %s, found the absolute path %q", base, text)
	}
	return path.Clean(text), nil
}

// leaves tells whether a clean relative path is outside of where it begins.
func leaves(clean string) bool { return clean == ".." || strings.HasPrefix(clean, "../") }
