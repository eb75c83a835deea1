package werfyaml

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"slipway/planner/diag"
)

// SelectOptions narrow a selection.
type SelectOptions struct {
	FinalOnly bool // without the images that are not final
}

const maxPattern = 100 // characters

// Select is the images that patterns choose, in file order; all when no pattern
// includes any. A pattern is as path.Match has it and must match a whole name,
// "~" being that of the nameless image; one that begins with "!" excludes,
// except what another names literally. An error is for the user: a pattern that
// is not one or matches nothing, or a choice of what is not supported.
func (c *Config) Select(patterns []string, o SelectOptions) ([]Image, error) {
	chosen, unsupported, err := c.Match(patterns, o)
	if err != nil {
		return nil, err
	}
	var wrong diag.List
	for _, u := range unsupported {
		wrong.Add(c.Refusal(u))
	}
	for _, d := range c.refuse(c.byName(), chosen) {
		wrong.Add(d.Advise("%s", c.processable()))
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return chosen, nil
}

// Match is Select for those who only name images: what is not supported is
// given, too.
func (c *Config) Match(patterns []string, o SelectOptions) ([]Image, []Unsupported, error) {
	include, exclude, err := splitPatterns(patterns)
	if err != nil {
		return nil, nil, err
	}
	chosen := func(name string, final bool) bool {
		name = display(name)
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
		switch {
		case o.FinalOnly && !final:
			return false
		case slices.Contains(include, name):
			return true
		case slices.ContainsFunc(exclude, matches):
			return false
		}
		return len(include) == 0 || slices.ContainsFunc(include, matches)
	}
	if err := c.checkIncluded(include, o); err != nil {
		return nil, nil, err
	}
	var images []Image
	for _, i := range c.Images {
		if chosen(i.Name, i.Final) {
			images = append(images, i)
		}
	}
	var unsupported []Unsupported
	for _, u := range c.Unsupported {
		if chosen(u.Name, u.Final) {
			unsupported = append(unsupported, u)
		}
	}
	return images, unsupported, nil
}

func splitPatterns(patterns []string) (include, exclude []string, err error) {
	var wrong diag.List
	for _, argument := range patterns {
		pattern, excludes := strings.CutPrefix(argument, "!")
		if message := badPattern(pattern); message != "" {
			d := &diag.Diagnostic{Message: fmt.Sprintf("image %.*q %s", maxPattern, argument, message)}
			wrong.Add(d.Advise("write a name, or a pattern with *, ? and [a-z] that match no slash; ! before it excludes"))
			continue
		}
		if excludes {
			exclude = append(exclude, pattern)
		} else {
			include = append(include, pattern)
		}
	}
	return include, exclude, wrong.Err()
}

func badPattern(pattern string) string {
	switch _, err := path.Match(pattern, ""); {
	case pattern == "":
		return "is empty"
	case utf8.RuneCountInString(pattern) > maxPattern:
		return fmt.Sprintf("is longer than %d characters", maxPattern)
	case strings.Contains(pattern, "**"):
		return "has **, which is not supported"
	case strings.ContainsAny(pattern, "&|$"):
		return "has one of & | $, which no name has"
	case err != nil:
		return "is not a pattern"
	}
	return ""
}

// checkIncluded tells each pattern that chooses nothing.
func (c *Config) checkIncluded(include []string, o SelectOptions) error {
	var all, final []string
	add := func(name string, isFinal bool) {
		all = append(all, display(name))
		if isFinal {
			final = append(final, display(name))
		}
	}
	for _, i := range c.Images {
		add(i.Name, i.Final)
	}
	for _, u := range c.Unsupported {
		add(u.Name, u.Final)
	}
	var wrong diag.List
	for _, pattern := range include {
		matches := func(name string) bool { ok, _ := path.Match(pattern, name); return ok }
		if !slices.ContainsFunc(all, matches) {
			d := &diag.Diagnostic{Message: fmt.Sprintf("no image %q in %s", pattern, c.File)}
			switch similar := diag.DidYouMean(pattern, all); {
			case similar != "":
				d.Advice = similar
			case len(all) == 0:
				d.Advice = "it has no images"
			default:
				d.Advice = "it has: " + enumerate(all)
			}
			wrong.Add(d)
		} else if o.FinalOnly && !slices.ContainsFunc(final, matches) {
			d := &diag.Diagnostic{Message: fmt.Sprintf("image %q in %s is not final, and only final images are wanted", pattern, c.File)}
			wrong.Add(d.Advise("remove its final: false to have it here"))
		}
	}
	return wrong.Err()
}

// Closure is the selected images and all that they depend on, each once, each
// after its dependencies, otherwise in the order given. It leaves out what is
// not supported: of a selection that Select made, that is nothing.
func (c *Config) Closure(selected []Image) []Image {
	images := c.byName()
	seen := map[string]bool{}
	var ordered []Image
	for i := range selected {
		walk(images, &selected[i], seen, func(i *Image) { ordered = append(ordered, *i) })
	}
	return ordered
}

// walk visits what an image depends on and then the image, each once.
func walk(images map[string]*Image, i *Image, seen map[string]bool, visit func(*Image)) {
	if seen[i.Name] {
		return
	}
	seen[i.Name] = true
	for _, d := range i.Dependencies {
		if dependency, ok := images[d.Image]; ok {
			walk(images, dependency, seen, visit)
		}
	}
	visit(i)
}

func (c *Config) byName() map[string]*Image {
	images := make(map[string]*Image, len(c.Images))
	for n := range c.Images {
		images[c.Images[n].Name] = &c.Images[n]
	}
	return images
}
