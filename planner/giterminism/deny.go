package giterminism

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
)

// maxSnippet is how many entries of one list an advice shows.
const maxSnippet = 10

// Deny is the diagnostic of using values that the rule does not allow, at the
// place that uses them (the zero Pos where that is not known). Its advice is the
// very lines to add.
func (c *Config) Deny(at diag.Pos, r Rule, values ...string) *diag.Diagnostic {
	what, ok := find(r)
	if !ok {
		return at.Errorf("%s is not allowed by giterminism", r)
	}
	message := what.message
	if strings.Contains(message, "%s") {
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = fmt.Sprintf("%q", v)
		}
		message = fmt.Sprintf(message, strings.Join(quoted, ", "))
	}
	d := at.Errorf("%s not allowed by giterminism", message)
	advice := what.reason + "\n" + c.hints(what, values) + c.howToAllow([]need{{r, values}})
	return d.Advise("%s\n\nor give --loose-giterminism, which allows everything", advice)
}

// hints points at entries of the file that look as if they were meant to allow
// the values.
func (c *Config) hints(r rule, values []string) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	entries := c.lists[r.key].texts
	for _, value := range values {
		if meant := diag.Suggest(value, entries); meant != "" && !globMeta.MatchString(meant) {
			fmt.Fprintf(&b, "the file allows %q: is that it?\n", meant)
		}
		for _, entry := range entries {
			expr, isExpr := regularExpression(entry)
			if !isExpr {
				expr = entry
			}
			if like, err := path.Match(expr, value); r.kind != patterns || err != nil || !like {
				continue
			}
			why := "is a name, not a pattern"
			if isExpr {
				why = "is a regular expression, not a pattern with wildcards"
			}
			fmt.Fprintf(&b, "%s %s: /%s/ would allow %s\n", entry, why, strings.ReplaceAll(expr, "*", ".*"), value)
		}
	}
	return b.String()
}

// need is what a run needs to be allowed.
type need struct {
	rule   Rule
	values []string
}

// howToAllow shows the lines that give what is needed.
func (c *Config) howToAllow(needs []need) string {
	if c == nil || c.file == "" {
		return fmt.Sprintf("create %s and commit it:\n\n%s", FileName, indent(versionLine+"\n"+snippet(needs)))
	}
	var begun []string
	for _, n := range needs {
		if line := c.lists[n.rule].line; line > 0 {
			begun = append(begun, fmt.Sprintf("%s begins on line %d", n.rule, line))
		}
	}
	where := ""
	if len(begun) > 0 {
		where = " (" + strings.Join(begun, ", ") + ")"
	}
	return fmt.Sprintf("add to %s%s and commit it:\n\n%s", c.file, where, indent(snippet(needs)))
}

// indent sets an example off from the advice that it is in.
func indent(example string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(example, "\n"), "\n", "\n  ")
}

// snippet is the YAML that allows what is needed. Needs of one section must
// follow each other, as they do in the order of the rules.
func snippet(needs []need) string {
	var b strings.Builder
	var open []string
	for _, n := range needs {
		r, _ := find(n.rule)
		keys := strings.Split(string(n.rule), ".")
		for depth, key := range keys {
			if depth < len(open) && open[depth] == key {
				continue
			}
			open = append(slices.Clone(keys[:depth]), key)
			fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", depth), key)
			if depth == len(keys)-1 && r.kind == flagKind {
				b.WriteString(" true")
			}
			b.WriteString("\n")
		}
		if r.kind == flagKind {
			continue
		}
		indent := strings.Repeat("  ", len(keys))
		for i, value := range n.values {
			if i == maxSnippet {
				fmt.Fprintf(&b, "%s# and %d more\n", indent, len(n.values)-i)
				break
			}
			fmt.Fprintf(&b, "%s- %s\n", indent, scalar(entry(r.kind, value)))
		}
	}
	return b.String()
}

// entry is what stands in the file for one value.
func entry(kind valueKind, value string) string {
	switch kind {
	case globs:
		return QuoteGlob(cleanPath(value))
	case anywhere:
		return QuoteGlob(path.Clean(filepath.ToSlash(value)))
	case files:
		return QuoteGlob(value)
	}
	return value
}

// scalar writes text as YAML on one line.
func scalar(text string) string {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsAny(text, "\n\r") {
		node.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(node)
	if err != nil {
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(string(out), "\n")
}
