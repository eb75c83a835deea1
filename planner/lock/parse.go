package lock

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"

	digest "github.com/opencontainers/go-digest"
	"gopkg.in/yaml.v3"
)

// advice is how any mistake can be mended: nothing in the file is anybody's own.
const advice = "correct it, or remove the file and run slipway lock"

// Parse reads a werf.lock. Its error is a diag.List with every mistake that it
// found.
func Parse(file string, text []byte) (*File, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	p := &parser{source: diag.NewSource(file, text)}
	f := &File{Bases: map[string]Base{}, Remotes: map[string]Remote{}}
	if at := yamlnode.InvalidUTF8(text); at >= 0 {
		p.wrong(p.source.Offset(text, at), "this is not UTF-8 text")
	} else if root := p.root(text); root != nil {
		p.document(root, f)
	}
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// parser is the state of one Parse.
type parser struct {
	source *diag.Source
	errs   diag.List
}

func (p *parser) wrong(at diag.Pos, format string, args ...any) {
	p.errs.Add(at.Errorf(format, args...).Advise(advice))
}

func (p *parser) pos(n *yaml.Node) diag.Pos { return p.source.Pos(n.Line, n.Column) }

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// root is the only document's value; nil, which is told, if there is none.
func (p *parser) root(text []byte) *yaml.Node {
	documents, err := yamlnode.Decode(text)
	switch {
	case err != nil:
		m := yamlError.FindStringSubmatch(err.Error())
		line := 0
		if len(m) > 1 {
			line, _ = strconv.Atoi(m[1]) // none is 0
		}
		p.wrong(p.source.Pos(line, 0), "this is not YAML: %s", yamlError.ReplaceAllString(err.Error(), ""))
	case len(documents) == 0:
		p.wrong(p.source.Pos(0, 0), "the file is empty")
	case len(documents) > 1:
		p.wrong(p.pos(documents[1]), "a second YAML document, where only one is read")
	default:
		return documents[0].Content[0]
	}
	return nil
}

func (p *parser) document(root *yaml.Node, f *File) {
	versioned := false
	for _, e := range p.fields(root, "the file", "version", "bases", "remotes") {
		switch e.key {
		case "version":
			versioned = true
			if e.value.ShortTag() != "!!int" {
				p.wrong(e.at, "version must be %d, found %s", version, yamlnode.Describe(e.value))
			} else if e.value.Value != strconv.Itoa(version) {
				p.errs = nil // a later format has other keys
				p.wrong(e.at, "version %s of the format is not known, only %d is", e.value.Value, version)
				return
			}
		case "bases":
			for _, entry := range p.entries(e) {
				f.Bases[entry.key] = p.base(entry)
			}
		case "remotes":
			for _, entry := range p.entries(e) {
				f.Remotes[entry.key] = p.remote(entry)
			}
		}
	}
	if !versioned && root.Kind == yaml.MappingNode {
		p.wrong(p.pos(root), "version is missing: only %d is known", version)
	}
}

// entries are the fields of a section, which may be without a value.
func (p *parser) entries(section field) []field {
	if yamlnode.IsNull(section.value) {
		return nil
	}
	return p.fields(section.value, section.key)
}

func (p *parser) base(entry field) Base {
	var b Base
	found := false
	for _, e := range p.fields(entry.value, entry.key, "digest", "onbuild") {
		switch e.key {
		case "digest":
			found = true
			b.Digest = p.digest(e)
		case "onbuild":
			b.OnBuild = p.texts(e)
		}
	}
	if !found && entry.value.Kind == yaml.MappingNode {
		p.wrong(entry.keyAt, "%.200q has no digest", entry.key)
	}
	return b
}

func (p *parser) remote(entry field) Remote {
	var r Remote
	fields := p.fields(entry.value, entry.key, "digest", "commit")
	for _, e := range fields {
		switch e.key {
		case "digest":
			// The only kind that BuildKit compares a download with.
			if r.Digest = p.digest(e); r.Digest != "" && r.Digest.Algorithm() != digest.SHA256 {
				p.wrong(e.at, "the digest of a file must be a sha256")
			}
		case "commit":
			if r.Commit = p.text(e); r.Commit != "" && !IsCommit(r.Commit) {
				p.wrong(e.at, "%.100q is not the full id of a commit", r.Commit)
			}
		}
	}
	if len(fields) != 1 && entry.value.Kind == yaml.MappingNode {
		p.wrong(entry.keyAt, "%.200q must have a digest, if it is a file, or a commit, if it is a git repository", entry.key)
	}
	return r
}

func (p *parser) digest(e field) digest.Digest {
	text := p.text(e)
	d, err := digest.Parse(text)
	if err != nil {
		if text != "" {
			p.wrong(e.at, "%.200q is not a digest", text)
		}
		return ""
	}
	return d
}

// text is a field's value; "", which is told, if it is not text.
func (p *parser) text(e field) string {
	if e.value.Kind != yaml.ScalarNode || e.value.ShortTag() != "!!str" || e.value.Value == "" {
		p.wrong(e.at, "%s must be text, found %s", e.key, yamlnode.Describe(e.value))
		return ""
	}
	return e.value.Value
}

func (p *parser) texts(e field) []string {
	if e.value.Kind != yaml.SequenceNode {
		p.wrong(e.at, "%s must be a list, found %s", e.key, yamlnode.Describe(e.value))
		return nil
	}
	var out []string
	for _, item := range e.value.Content {
		out = append(out, p.text(field{e.key, yamlnode.Resolve(item), p.pos(item), p.pos(item)}))
	}
	return out
}

// field is a key of a mapping with its value, aliases resolved.
type field struct {
	key       string
	value     *yaml.Node
	keyAt, at diag.Pos
}

// fields are a mapping's, in the file's order. What is no mapping, a key that is
// given twice and one that is not among known, if any are, is told and left out.
func (p *parser) fields(n *yaml.Node, of string, known ...string) []field {
	if n.Kind != yaml.MappingNode {
		p.wrong(p.pos(n), "%.200s must be a mapping of keys to values, found %s", of, yamlnode.Describe(n))
		return nil
	}
	var out []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyAt, key := p.pos(n.Content[i]), yamlnode.Resolve(n.Content[i])
		twice := slices.IndexFunc(out, func(f field) bool { return f.key == key.Value })
		switch {
		// A merge key is an odd name, no more: nothing here needs merging.
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" && key.ShortTag() != "!!merge" || key.Value == "":
			p.wrong(keyAt, "a key must be text, found %s", yamlnode.Describe(key))
		case twice >= 0:
			p.wrong(keyAt, "key %.200q is given twice, first on line %d", key.Value, out[twice].keyAt.Line)
		case len(known) > 0 && !slices.Contains(known, key.Value):
			p.wrong(keyAt, "unknown key %.60q: the keys of %.200s are %s", key.Value, of, strings.Join(known, ", "))
		default:
			out = append(out, field{key.Value, yamlnode.Resolve(n.Content[i+1]), keyAt, p.pos(n.Content[i+1])})
		}
	}
	return out
}
