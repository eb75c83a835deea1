package werfyaml

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Untyped YAML 1.1 booleans. yaml.v3 takes them for text, but the files were
// written for a YAML 1.1 parser.
var (
	yamlTrue  = []string{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"}
	yamlFalse = []string{"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"}
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// boolean reads a scalar that YAML 1.1 takes for a boolean.
func boolean(n *yaml.Node) (value, ok bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Style != 0 && n.ShortTag() != "!!bool":
		return false, false
	case slices.Contains(yamlTrue, n.Value):
		return true, true
	}
	return false, slices.Contains(yamlFalse, n.Value)
}

// describe says what a value, not an alias, is: for "must be…, found…".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!null":
		return "no value"
	case "!!bool":
		return "the boolean " + n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!str", "!!merge", "!!timestamp":
		return fmt.Sprintf("the text %.60q", n.Value)
	}
	return fmt.Sprintf("a value with the tag %.60q", n.ShortTag())
}

// text reads a key that wants text. A number stands for its own digits (target:
// 1.10 is "1.10"). A key with no value is as if it were not there.
func (p *parser) text(f field, name string) (text string, ok bool) {
	if isNull(f.value) {
		return "", false
	}
	text, ok = scalarText(f.value)
	if !ok {
		d := f.at.Errorf("%q must be text, found %s", name, describe(f.value))
		if f.value.ShortTag() == "!!bool" {
			d.Advise("put it in quotes if it is a name: %q", f.value.Value)
		}
		p.errs.Add(d)
	}
	return text, ok
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
	if b, ok := boolean(n); ok {
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
	return "", fmt.Errorf("must be text, a number or a boolean, found %s", describe(n))
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
