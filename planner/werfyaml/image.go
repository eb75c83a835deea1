package werfyaml

import (
	"path"
	"regexp"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
)

var imageName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?` +
	`(?:/[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)*$`)

func (p *parser) parseImage(s *section) {
	i := Image{Context: ".", Final: true, positions: positions{s.pos, map[string]diag.Pos{}}}
	var dockerfile, addFiles *field
	for _, f := range s.check(s.fields, imageKeys) {
		i.at[f.key] = f.at
		switch f.key {
		case "image":
			i.Name = p.imageName(f)
		case "dockerfile":
			dockerfile = &f
		case "context":
			// An empty context is the default, as users of templates expect.
			if text, ok := p.text(f, f.key); ok && text != "" {
				i.Context = p.projectPath(f, f.key, text)
			}
		case "contextAddFiles", "contextAddFile":
			if addFiles != nil {
				p.errs.Add(f.keyAt.Errorf("contextAddFile and contextAddFiles are one key; the other is on line %d",
					addFiles.keyAt.Line).Advise("put all paths under contextAddFiles"))
				break
			}
			addFiles = &f
			i.ContextAddFiles = p.addFiles(f, i.at)
		case "target":
			i.Target, _ = p.text(f, f.key)
		case "args":
			i.Args = p.args(f, i.at)
		case "final":
			if isNull(f.value) {
				break
			}
			var ok bool
			if i.Final, ok = boolean(f.value); !ok {
				p.errs.Add(f.at.Errorf("%q must be true or false, found %s", f.key, describe(f.value)))
			}
		}
	}
	if !s.has("image") && !s.typos["image"] {
		p.errs.Add(s.pos.Errorf("images without a name are not supported yet").Advise("name it: image: app"))
	}
	// The context may stand below the Dockerfile that is relative to it.
	if dockerfile != nil {
		i.Dockerfile = p.dockerfile(*dockerfile, i.Context)
	} else if !s.typos["dockerfile"] {
		p.errs.Add(s.pos.Errorf("this image has no dockerfile").Advise("add its path, relative to context: dockerfile: Dockerfile"))
	}
	p.config.Images = append(p.config.Images, i)
}

func (p *parser) imageName(f field) string {
	if f.value.Kind == yaml.SequenceNode {
		p.errs.Add(f.at.Errorf("a list of names is not supported yet").Advise("write one section for each name"))
		return ""
	}
	if isNull(f.value) || f.value.Kind == yaml.ScalarNode && f.value.Value == "" {
		p.errs.Add(f.keyAt.Errorf("images without a name are not supported yet").Advise("name it: image: app"))
		return ""
	}
	name, ok := p.text(f, "image")
	if !ok {
		return ""
	}
	if !imageName.MatchString(name) {
		p.errs.Add(f.at.Errorf("%.60q cannot be the name of an image", name).
			Advise("use letters, digits, _, . and -, in parts joined by /, each beginning and ending with a letter or digit"))
		return name
	}
	if first, taken := p.names[name]; taken {
		p.errs.Add(f.at.Errorf("image %q is defined twice, first on line %d", name, first.Line).
			Advise("give one of them another name"))
		return name
	}
	if p.names == nil {
		p.names = map[string]diag.Pos{}
	}
	p.names[name] = f.at
	return name
}

func (p *parser) dockerfile(f field, context string) string {
	if isNull(f.value) {
		p.errs.Add(f.keyAt.Errorf("dockerfile has no value").Advise("write its path, relative to context: dockerfile: Dockerfile"))
		return ""
	}
	text, ok := p.text(f, "dockerfile")
	if !ok {
		return ""
	}
	clean, err := cleanPath(text, "context")
	switch {
	case err != nil:
		p.errs.Add(f.at.Errorf("%q %v", "dockerfile", err))
	case leaves(path.Join(context, clean)):
		p.errs.Add(f.at.Errorf("%q leaves the project directory: %q in context %q", "dockerfile", text, context).
			Advise("it is relative to context; only files of the project's commit are read"))
	default:
		return clean
	}
	return ""
}

// addFiles reads one path or a list of them.
func (p *parser) addFiles(f field, at map[string]diag.Pos) []string {
	items := []*yaml.Node{f.value}
	if f.value.Kind == yaml.SequenceNode {
		items = f.value.Content
	} else if isNull(f.value) {
		return nil
	}
	var files []string
	for _, item := range items {
		pos := p.nodePos(item)
		if item == f.value {
			pos = f.at
		}
		text, ok := scalarText(resolve(item))
		if !ok {
			p.errs.Add(pos.Errorf("%q must be a path or a list of paths, found %s", f.key, describe(resolve(item))))
			continue
		}
		clean, err := cleanPath(text, "context")
		if err != nil {
			p.errs.Add(pos.Errorf("%q %v", f.key, err))
			continue
		}
		if leaves(clean) {
			p.errs.Add(pos.Errorf("%q leaves the context: %q", f.key, text).
				Advise("a path is relative to context; widen the context to reach it"))
			continue
		}
		files = append(files, clean)
		at["contextAddFiles."+clean] = pos
	}
	return files
}

func (p *parser) args(f field, at map[string]diag.Pos) map[string]string {
	if f.value.Kind == yaml.SequenceNode {
		p.errs.Add(f.at.Errorf("%q must be a mapping of names to values, found a list", f.key).
			Advise("write a line for each under args, with no hyphen: NAME: value"))
		return nil
	}
	var args map[string]string
	for _, arg := range p.submapping(f, f.key) {
		if isNull(arg.value) {
			p.errs.Add(arg.keyAt.Errorf("argument %q has no value", arg.key).
				Advise(`put it in quotes: "" for empty text, "null" for that word`))
			continue
		}
		text, err := argument(arg.value)
		if err != nil {
			p.errs.Add(arg.at.Errorf("argument %q %v", arg.key, err))
			continue
		}
		if args == nil {
			args = map[string]string{}
		}
		args[arg.key] = text
		at["args."+arg.key] = arg.at
	}
	return args
}

// shellError is the diagnostic of a section that builds an image with the shell
// syntax, whose whole vocabulary is unknown here.
func (s *section) shellError() *diag.Diagnostic {
	const advice = "write a Dockerfile for it, and dockerfile: with its path here"
	for _, f := range s.fields {
		if f.key != "image" && f.key != "artifact" {
			continue
		}
		if name, ok := scalarText(f.value); ok {
			return f.at.Errorf("image %.60q: the shell syntax (from: …) is not supported yet", name).Advise(advice)
		}
	}
	return s.pos.Errorf("the shell syntax (from: …) is not supported yet").Advise(advice)
}
