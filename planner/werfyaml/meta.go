package werfyaml

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
)

const metaExample = "project: myproject\nconfigVersion: 1"

// indent sets an example off from the advice that it is in.
func indent(example string) string { return "  " + strings.ReplaceAll(example, "\n", "\n  ") }

var projectName = regexp.MustCompile(`^(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])$`)

const maxProjectName = 50

func (p *parser) parseMeta(s *section) {
	if p.meta != nil {
		p.errs.Add(s.pos.Errorf("a second section with configVersion or project; the first is on line %d", p.meta.pos.Line).
			Advise("keep one of them; put lines of three hyphens between sections"))
		return
	}
	p.meta = s
	m := Meta{ChartDir: DefaultChartDir, positions: positions{s.pos, map[string]diag.Pos{}}}
	for _, f := range s.check(s.fields, metaKeys) {
		m.at[f.key] = f.at
		switch f.key {
		case "configVersion":
			var version int
			if f.value.ShortTag() != "!!int" || f.value.Decode(&version) != nil || version != 1 {
				p.errs.Add(f.at.Errorf("configVersion must be 1, found %s", describe(f.value)))
			}
		case "project":
			m.Project = p.projectName(f)
		case "deploy":
			p.parseDeploy(s, f, &m)
		}
	}
	for _, key := range []string{"configVersion", "project"} {
		if !s.has(key) && !s.typos[key] {
			p.errs.Add(s.pos.Errorf("%s is missing from the project's section", key).
				Advise("write:\n\n%s", indent(metaExample)))
		}
	}
	p.config.Meta = m
}

func (p *parser) projectName(f field) string {
	if isNull(f.value) {
		p.errs.Add(f.keyAt.Errorf("project has no value").Advise("write its name: project: myproject"))
		return ""
	}
	name, ok := p.text(f, "project")
	if ok && (!projectName.MatchString(name) || len(name) > maxProjectName) {
		p.errs.Add(f.at.Errorf("%.60q cannot be the name of a project", name).
			Advise("use at most %d lower-case letters, digits and hyphens, with no hyphen at either end",
				maxProjectName))
	}
	return name
}

func (p *parser) parseDeploy(s *section, deploy field, m *Meta) {
	for _, f := range s.check(p.submapping(deploy, "deploy"), deployKeys) {
		name := deployKeys.prefix + f.key
		m.at[name] = f.at
		switch f.key {
		case "helmChartDir":
			if text, ok := p.text(f, name); ok {
				m.ChartDir = p.projectPath(f, name, text)
			}
		case "helmChartConfig":
			for _, f := range s.check(p.submapping(f, name), chartKeys) {
				name := chartKeys.prefix + f.key
				m.at[name] = f.at
				m.AppVersion, _ = p.text(f, name)
			}
		}
	}
}

// submapping is the fields of a key that wants a mapping; none when it has no
// value.
func (p *parser) submapping(f field, name string) []field {
	if isNull(f.value) {
		return nil
	}
	if f.value.Kind != yaml.MappingNode {
		p.errs.Add(f.at.Errorf("%q must be a mapping of keys to values, found %s", name, describe(f.value)))
		return nil
	}
	return p.mapping(f.value)
}

// projectPath cleans a path that must stay in the project; "" after an error.
func (p *parser) projectPath(f field, name, text string) string {
	clean, err := cleanPath(text, "the project directory")
	if err != nil {
		p.errs.Add(f.at.Errorf("%q %v", name, err))
		return ""
	}
	if leaves(clean) {
		p.errs.Add(f.at.Errorf("%q leaves the project directory: %q", name, text).
			Advise("only files of the project's commit are read; put it in the project directory"))
		return ""
	}
	return clean
}
