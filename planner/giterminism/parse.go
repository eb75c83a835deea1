package giterminism

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

const (
	versionKey  = "giterminismConfigVersion"
	versionLine = versionKey + ": 1"
	bom         = "\uFEFF"
	maxEntry    = 4096 // bytes; bounds the time that matching takes
)

// ParseConfig reads the text of the werf-giterminism.yaml that people know by
// the given name. Its error is a diag.List with every mistake that it found; a
// key that is not known is one, unlike in the reference, which ignores it and so
// leaves its user with a permission that is not given.
func ParseConfig(file string, text []byte) (*Config, error) {
	text = bytes.TrimPrefix(text, []byte(bom))
	p := &parser{
		source: diag.NewSource(file, text),
		config: &Config{file: file, flags: map[Rule]bool{}, lists: map[Rule]list{}},
	}
	if at := yamlnode.InvalidUTF8(text); at >= 0 {
		p.errs.Add(p.source.Offset(text, at).Errorf("this is not UTF-8 text").Advise("save the file as UTF-8"))
		return nil, p.errs.Err()
	}
	roots, err := decode(text)
	if err != nil {
		p.errs.Add(p.syntaxError(text, err))
	}
	// The version may stand behind the syntax error.
	if len(roots) == 0 && err == nil {
		p.errs.Add(p.source.Pos(0, 0).Errorf("the file is empty").Advise("begin it with\n\n%s", indent(versionLine)))
	}
	if len(roots) > 0 {
		p.document(roots[0])
	}
	if len(roots) > 1 {
		p.errs.Add(p.pos(roots[1]).Errorf("a second YAML document, where only one is read").
			Advise("move its keys into the first one, and remove the line of three hyphens"))
	}
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return p.config, nil
}

// parser is the state of one ParseConfig.
type parser struct {
	source *diag.Source
	config *Config
	errs   diag.List
}

func (p *parser) document(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		p.errs.Add(p.pos(root).Errorf("the file must be a mapping of keys to values, found %s", yamlnode.Describe(root)).
			Advise("begin it with\n\n%s", indent(versionLine)))
		return
	}
	versioned := false
	for _, f := range p.fields(root) {
		if f.key != versionKey {
			versioned = p.field(f, "") == versionKey || versioned
			continue
		}
		versioned = true
		// Text is as good as the number.
		if f.value.Kind != yaml.ScalarNode || f.value.Value != "1" ||
			f.value.ShortTag() != "!!int" && f.value.ShortTag() != "!!str" {
			p.errs.Add(f.at.Errorf("%s must be 1, found %s", versionKey, yamlnode.Describe(f.value)))
		}
	}
	if !versioned {
		p.errs.Add(p.pos(root).Errorf("%s is missing", versionKey).
			Advise("begin the file with\n\n%s", indent(versionLine)))
	}
}

// section reads the mapping of a key such as "config.dockerfile.".
func (p *parser) section(f field, prefix string) {
	if yamlnode.IsNull(f.value) {
		return
	}
	if f.value.Kind != yaml.MappingNode {
		p.errs.Add(f.at.Errorf("%q must be a mapping of keys to values, found %s", prefix[:len(prefix)-1], yamlnode.Describe(f.value)))
		return
	}
	for _, inner := range p.fields(f.value) {
		p.field(inner, prefix)
	}
}

// field reads a key below prefix. It returns what an unknown key was probably
// meant to be.
func (p *parser) field(f field, prefix string) (meant string) {
	name := prefix + f.key
	r, isRule := find(Rule(name))
	known := children(prefix)
	switch {
	case !slices.Contains(known, f.key):
		p.errs.Add(f.keyAt.Errorf("unknown key %.60q", name).Advise("%s", p.advice(f.key, prefix, known)))
		return diag.Suggest(f.key, known)
	case !isRule:
		p.section(f, name+".")
	case yamlnode.IsNull(f.value): // as if it were not there: often all entries are comments
	case r.kind == flagKind:
		value, ok := yamlnode.Boolean(f.value)
		if !ok {
			p.errs.Add(f.at.Errorf("%q must be true or false, found %s", name, yamlnode.Describe(f.value)))
		}
		p.config.flags[r.key] = value
	default:
		p.list(f, r)
	}
	return ""
}

func (p *parser) list(f field, r rule) {
	if f.value.Kind != yaml.SequenceNode {
		d := f.at.Errorf("%q must be a list, found %s", r.key, yamlnode.Describe(f.value))
		if text, ok := plainText(f.value); ok {
			d.Advise("write:\n\n%s", indent(f.key+":\n  - "+scalar(text)))
		}
		p.errs.Add(d)
		return
	}
	l := list{line: f.value.Line}
	for _, item := range f.value.Content {
		at := p.pos(item)
		text, ok := plainText(yamlnode.Resolve(item))
		switch {
		case !ok:
			d := at.Errorf("an entry of %q must be text, found %s", r.key, yamlnode.Describe(yamlnode.Resolve(item)))
			if item := yamlnode.Resolve(item); item.Kind == yaml.ScalarNode && !yamlnode.IsNull(item) {
				d.Advise("put it in quotes: %q", item.Value)
			}
			p.errs.Add(d)
			continue
		case text == "":
			p.errs.Add(at.Errorf("an entry of %q is empty", r.key).Advise("remove it"))
			continue
		case len(text) > maxEntry:
			p.errs.Add(at.Errorf("an entry of %q is longer than any path: %d bytes", r.key, len(text)))
			continue
		}
		match, err := matcher(r.kind, text)
		if err != nil {
			p.errs.Add(at.Errorf("%.60q in %q: %v", text, r.key, err))
			continue
		}
		l.texts = append(l.texts, text)
		l.match = append(l.match, match)
	}
	p.config.lists[r.key] = l
}

// children is the keys that may stand below a prefix, in the format's order.
func children(prefix string) []string {
	var keys []string
	if prefix == "" {
		keys = append(keys, versionKey)
	}
	for _, r := range rules {
		if rest, ok := strings.CutPrefix(string(r.key), prefix); ok {
			key, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// advice is for a key that may not stand below prefix. One that would be right
// in another place is told where.
func (p *parser) advice(key, prefix string, known []string) string {
	if similar := diag.DidYouMean(key, known); similar != "" {
		return similar
	}
	var places []string
	for _, r := range rules {
		for name := string(r.key); name != ""; name = name[:max(0, strings.LastIndexByte(name, '.'))] {
			if name[strings.LastIndexByte(name, '.')+1:] == key && !slices.Contains(places, name) {
				places = append(places, name)
			}
		}
	}
	if len(places) > 0 {
		return "its place is " + strings.Join(places, " or ")
	}
	where := "the file"
	if prefix != "" {
		where = `"` + prefix[:len(prefix)-1] + `"`
	}
	return "the keys of " + where + " are " + strings.Join(known, ", ")
}

var blankIndent = regexp.MustCompile(`(?m)^[ \t]*\t[ \t]*(?:#.*)?\r?$`)

// decode gives the documents that are not empty.
//
// YAML allows a tab wherever blanks separate, and so before a comment; yaml.v3
// (and the reference) allows it behind a value, but not on a line of its own.
// There, where nothing else is on the line, the tabs become spaces.
func decode(text []byte) ([]*yaml.Node, error) {
	roots, err := decodeNodes(text)
	if err == nil || !blankIndent.Match(text) {
		return roots, err
	}
	spaced := blankIndent.ReplaceAllFunc(text, func(line []byte) []byte {
		comment := bytes.TrimLeft(line, " \t")
		return append(bytes.Repeat([]byte(" "), len(line)-len(comment)), comment...)
	})
	if roots, err := decodeNodes(spaced); err == nil {
		return roots, nil
	}
	return roots, err
}
