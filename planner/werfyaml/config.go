// Package werfyaml reads werf.yaml, once its templates are rendered, into a
// checked configuration: all of it is valid or every mistake is told, each with
// its position.
//
// It must never know git, Dockerfiles, registries or BuildKit: whether a file
// exists or a target is a stage is for those to find out who can see it. They
// report it at the position that At gives.
package werfyaml

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// DefaultChartDir is where a project's chart is when werf.yaml does not say.
const DefaultChartDir = ".helm"

// Config is a valid werf.yaml.
type Config struct {
	File        string
	Meta        Meta
	Images      []Image       // in file order
	Unsupported []Unsupported // in file order
}

const bom = "\uFEFF"

// Parse reads the rendered text of the file that people know by the given name.
// Its error is a diag.List with every mistake that it found.
func Parse(file string, text []byte) (*Config, error) { return ParseAs("", file, text) }

// ParseAs is Parse of a project whose name is given, whatever the file says; ""
// leaves it to the file.
func ParseAs(project, file string, text []byte) (*Config, error) {
	if project != "" && !isProjectName(project) {
		return nil, (&diag.Diagnostic{Message: fmt.Sprintf("%.60q cannot be the name of a project", project)}).Advise("%s", projectNameAdvice)
	}
	text = bytes.TrimPrefix(text, []byte(bom))
	p := &parser{source: diag.NewSource(file, text), config: &Config{File: file}, claimed: map[string]diag.Pos{}, project: project}
	// What follows depends on these two: nothing else is worth telling then.
	if at := yamlnode.InvalidUTF8(text); at >= 0 {
		p.errs.Add(p.source.Offset(text, at).Errorf("this is not UTF-8 text").
			Advise("save the file as UTF-8"))
		return nil, p.errs.Err()
	}
	p.decodeAll(text)
	// The project's section is read first: images have its defaults.
	for _, meta := range []bool{true, false} {
		for _, s := range p.sections {
			if (s.kind() == kindMeta) == meta {
				s.parse()
			}
		}
	}
	// The meta section may be in the document that cannot be read.
	if p.meta == nil && !p.incomplete {
		p.errs.Add(p.source.Pos(0, 0).Errorf("there is no section with configVersion and project").
			Advise("begin the file with one:\n\n%s", indent(metaExample)))
	}
	p.check()
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return p.config, nil
}

// parser is the state of one Parse.
type parser struct {
	project  string // the name it has to have; "" is the file's
	source   *diag.Source
	config   *Config
	errs     diag.List
	sections []*section
	meta     *section            // the first meta section
	claimed  map[string]diag.Pos // where each image name was first given
	// incomplete is that there are names that could not be read, so that a
	// name that is not known is not a mistake.
	incomplete bool
}

// decodeAll finds the sections, and what in the text is not YAML.
func (p *parser) decodeAll(text []byte) {
	var roots []*yaml.Node
	for _, d := range splitDocuments(text) {
		found, err := p.decode(d)
		if err != nil {
			p.errs.Add(err)
			p.incomplete = true
		}
		roots = append(roots, found...)
	}
	p.source = diag.NewSource(p.config.File, redact(text, roots))
	for _, root := range roots {
		if s := p.newSection(root); s.root != nil {
			p.sections = append(p.sections, s)
		}
	}
}

func (s *section) parse() {
	switch s.kind() {
	case kindMeta:
		s.parseMeta()
	case kindImage:
		s.parseImage()
	case kindShell:
		s.parseShell()
	default:
		s.incomplete = true
		s.errs.Add(s.pos.Errorf("this section is neither the project's nor an image's").
			Advise("the project's has configVersion and project, an image's has image and dockerfile"))
	}
}
