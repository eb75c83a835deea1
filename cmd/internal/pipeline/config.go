package pipeline

import (
	"context"
	"errors"
	"strings"

	"slipway/planner"
	"slipway/planner/werfyaml"
)

// ConfigImage is one image as the configuration has it.
type ConfigImage struct {
	Name  string // "~" is the nameless one
	Needs []string
}

// ConfigImages lists the chosen images in the file's order, those included that
// cannot be built yet.
func ConfigImages(ctx context.Context, o planner.Options) (_ []ConfigImage, err error) {
	p, err := planner.OpenProject(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.CheckUncommitted(ctx, o); err != nil {
		return nil, err
	}
	images, others, err := p.Config.Match(o.Images, werfyaml.SelectOptions{FinalOnly: o.FinalOnly})
	if err != nil {
		return nil, err
	}
	var out []ConfigImage
	for _, image := range images {
		for len(others) > 0 && others[0].Pos.Line < image.At("").Line {
			out, others = append(out, ConfigImage{Name: shown(others[0].Name)}), others[1:]
		}
		entry := ConfigImage{Name: shown(image.Name)}
		for _, d := range image.Dependencies {
			entry.Needs = append(entry.Needs, shown(d.Image))
		}
		out = append(out, entry)
	}
	for _, u := range others {
		out = append(out, ConfigImage{Name: shown(u.Name)})
	}
	return out, nil
}

// RenderTo lets the run write the rendered configuration to a file, which is then
// no part of the project.
func RenderTo(path string, o *planner.Options) {
	o.Outputs = append(o.Outputs, path)
	o.Rendered = func(text []byte) error { return replaceFile(path, text) }
}

// ConfigText is the rendered configuration: all of it, or the documents of the
// chosen images.
func ConfigText(ctx context.Context, o planner.Options) (_ []byte, err error) {
	open := planner.OpenProject
	if len(o.Images) == 0 {
		open = planner.RenderProject // diagnostics send people here who have mistakes in it
	}
	p, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.CheckUncommitted(ctx, o); err != nil {
		return nil, err
	}
	if len(o.Images) == 0 {
		return p.Text, nil
	}
	images, others, err := p.Config.Match(o.Images, werfyaml.SelectOptions{FinalOnly: o.FinalOnly})
	if err != nil {
		return nil, err
	}
	wanted := map[int]bool{} // lines in documents of the chosen images
	for _, image := range images {
		wanted[image.At("").Line] = true
	}
	for _, u := range others {
		wanted[u.Pos.Line] = true
	}
	return documents(string(p.Text), wanted), nil
}

// documents keeps the YAML documents that hold one of the lines.
func documents(text string, lines map[int]bool) []byte {
	var out, doc strings.Builder
	keep := false
	flush := func() {
		if keep {
			out.WriteString(doc.String())
		}
		doc.Reset()
		keep = false
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.TrimRight(line, " \t\r\n") == "---" {
			flush()
		}
		doc.WriteString(line)
		keep = keep || lines[n]
	}
	flush()
	return []byte(out.String())
}

// shown is what people call an image; the nameless one as the reference has it.
func shown(name string) string {
	if name == "" {
		return "~"
	}
	return name
}
