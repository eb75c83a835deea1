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
	"unicode/utf8"

	"slipway/planner/diag"
)

// DefaultChartDir is where a project's chart is when werf.yaml does not say.
const DefaultChartDir = ".helm"

// Config is a valid werf.yaml.
type Config struct {
	File   string
	Meta   Meta
	Images []Image // in file order
}

// Meta is the section with configVersion.
type Meta struct {
	Project    string // 1 to 50 of a-z, 0-9 and inner hyphens
	ChartDir   string // deploy.helmChartDir, relative to the project, clean
	AppVersion string // deploy.helmChartConfig.appVersion; empty: the chart's own
	positions
}

// Image is a section with a dockerfile.
type Image struct {
	Name            string            // segments of A-Z a-z 0-9 _ . - joined by slashes; unique
	Dockerfile      string            // relative to Context, clean; within the project
	Context         string            // relative to the project, clean; "." is the project itself
	ContextAddFiles []string          // relative to Context, clean, within it; in file order
	Target          string            // stage to build; empty: the last one
	Args            map[string]string // build arguments; nil when there are none
	Final           bool              // whether the image is for export and bundles by default
	positions
}

// positions are where the values of a section stand.
type positions struct {
	section diag.Pos
	at      map[string]diag.Pos
}

// At is the position of the value of a key, or of the section's first line when
// the file does not give the key. Deeper values have a dot: "args.NAME",
// "contextAddFiles.PATH" (the clean path), "deploy.helmChartDir".
func (p positions) At(key string) diag.Pos {
	if pos, ok := p.at[key]; ok {
		return pos
	}
	return p.section
}

const bom = "\uFEFF"

// Parse reads the rendered text of the file that people know by the given name.
// Its error is a diag.List with every mistake that it found.
func Parse(file string, text []byte) (*Config, error) {
	text = bytes.TrimPrefix(text, []byte(bom))
	p := &parser{source: diag.NewSource(file, text), config: &Config{File: file}}
	// What follows depends on these two: nothing else is worth telling then.
	if at := invalidUTF8(text); at >= 0 {
		p.errs.Add(p.source.Offset(text, at).Errorf("this is not UTF-8 text").
			Advise("save the file as UTF-8"))
		return nil, p.errs.Err()
	}
	if at := bytes.Index(text, []byte("{{")); at >= 0 {
		p.errs.Add(p.source.Offset(text, at).Errorf("templates in werf.yaml are not supported yet").
			Advise("write what the template gives; an action is executed even in a comment"))
		return nil, p.errs.Err()
	}
	broken := false
	for _, d := range splitDocuments(text) {
		sections, err := p.decode(d)
		if err != nil {
			p.errs.Add(err)
			broken = true
		}
		for _, s := range sections {
			p.section(s)
		}
	}
	// The meta section may be in the document that cannot be read.
	if p.meta == nil && !broken {
		p.errs.Add(p.source.Pos(0, 0).Errorf("there is no section with configVersion and project").
			Advise("begin the file with one:\n\n%s", indent(metaExample)))
	}
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return p.config, nil
}

// parser is the state of one Parse.
type parser struct {
	source *diag.Source
	config *Config
	errs   diag.List
	meta   *section            // the first meta section
	names  map[string]diag.Pos // where each image name was first given
}

func (p *parser) section(s *section) {
	if s.root == nil {
		return
	}
	switch s.kind() {
	case kindMeta:
		p.parseMeta(s)
	case kindImage:
		p.parseImage(s)
	case kindShell:
		p.errs.Add(s.shellError())
	default:
		p.errs.Add(s.pos.Errorf("this section is neither the project's nor an image's").
			Advise("the project's has configVersion and project, an image's has image and dockerfile"))
	}
}

func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
