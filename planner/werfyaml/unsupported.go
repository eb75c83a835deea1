package werfyaml

import (
	"fmt"
	"strings"

	"slipway/planner/diag"
)

// Unsupported is an image that only the reference tool can make. The file is
// valid with it: what does not need it can be processed.
type Unsupported struct {
	Name  string // as an Image's
	Pos   diag.Pos
	Why   string // "is made by the shell syntax (from: …), which is not supported yet"
	Final bool   // as an Image's; never of an artifact
}

// parseShell reads the names of a section that makes an image with the shell or
// ansible syntax, whose other keys are not looked at.
func (s *section) parseShell() {
	u := Unsupported{Pos: s.pos, Why: "is made by the shell syntax (from: …), which is not supported yet", Final: true}
	if s.has("ansible") {
		u.Why = "is made by the ansible syntax, which is not supported yet"
	}
	var names []name
	for _, f := range s.fields {
		switch f.key {
		case "artifact":
			u.Final = false
			u.Why = strings.Replace(u.Why, "is made", "is an artifact, made", 1)
			fallthrough
		case "image":
			names = append(names, s.names(f)...)
		case "final":
			final := u.Final
			s.boolTo(&final)(f)
			u.Final = u.Final && final
		}
	}
	if len(names) == 0 {
		s.incomplete = true
		if !s.has("image") && !s.has("artifact") {
			s.errs.Add(s.pos.Errorf("this image has no name").Advise("name it: image: app"))
		}
	}
	for _, n := range names {
		if s.claim(n) {
			u.Name, u.Pos = n.text, n.at
			s.config.Unsupported = append(s.config.Unsupported, u)
		}
	}
}

// Refusal is the diagnostic for a run that needs the image.
func (c *Config) Refusal(u Unsupported) *diag.Diagnostic {
	return u.Pos.Errorf("image %q %s", display(u.Name), u.Why).Advise("%s", c.processable())
}

// processable says which images can be processed: those that need no other.
func (c *Config) processable() string {
	var names []string
	images := c.byName()
	for n, i := range c.Images {
		if len(c.refuse(images, c.Images[n:n+1])) == 0 {
			names = append(names, display(i.Name))
		}
	}
	if len(names) == 0 {
		return "write a Dockerfile for it, and dockerfile: with its path here"
	}
	return "images that can be processed: " + enumerate(names)
}

// refuse finds what images depend on that is not supported, at any depth.
func (c *Config) refuse(images map[string]*Image, roots []Image) diag.List {
	whys := map[string]string{}
	for _, u := range c.Unsupported {
		whys[u.Name] = u.Why
	}
	var wrong diag.List
	seen := map[string]bool{}
	for n := range roots {
		walk(images, &roots[n], seen, func(i *Image) {
			for at, d := range i.Dependencies {
				if why, ok := whys[d.Image]; ok {
					wrong.Add(i.dependencyAt(at).Errorf("image %q depends on %q, which %s", display(i.Name), d.Image, why))
				}
			}
		})
	}
	return wrong
}

// enumerate lists names, not all when they are many.
func enumerate(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
