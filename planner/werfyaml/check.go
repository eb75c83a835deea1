package werfyaml

import (
	"slices"
	"strings"

	"slipway/planner/diag"
)

// check tells what is wrong between sections that are right by themselves.
func (p *parser) check() {
	p.checkNameless()
	p.checkDependencies()
	p.checkCycles()
	if err := p.config.CheckPlatforms(nil); err != nil {
		p.errs.Add(err.(diag.List)...)
	}
}

// checkNameless: what the nameless image is called elsewhere, when there are
// others, nobody could tell.
func (p *parser) checkNameless() {
	at, nameless := p.claimed[""]
	var final []string
	for _, i := range p.config.Images {
		if i.Final {
			final = append(final, display(i.Name))
		}
	}
	for _, u := range p.config.Unsupported {
		if u.Final {
			final = append(final, display(u.Name))
		}
	}
	if nameless && len(final) > 1 {
		p.errs.Add(at.Errorf("an image without a name cannot be in a file with several final images: %s", enumerate(final)).
			Advise("name it, or give the others final: false"))
	}
}

func (p *parser) checkDependencies() {
	if p.incomplete {
		return
	}
	var known []string
	for _, i := range p.config.Images {
		known = append(known, i.Name)
	}
	for _, u := range p.config.Unsupported {
		known = append(known, u.Name)
	}
	for n := range p.config.Images {
		i := &p.config.Images[n]
		for at, d := range i.Dependencies {
			if _, ok := p.claimed[d.Image]; ok {
				continue
			}
			advice := diag.DidYouMean(d.Image, known)
			if advice == "" {
				advice = "the file has " + enumerate(slices.DeleteFunc(slices.Clone(known), func(name string) bool { return name == "" }))
			}
			p.errs.Add(i.dependencyAt(at).Errorf("no image %.60q in this file", d.Image).Advise("%s", advice))
		}
	}
}

// checkCycles looks at each image once, depth first and in the file's order; a
// dependency on an image that is being looked at closes a circle.
func (p *parser) checkCycles() {
	images := p.config.byName()
	done := map[string]bool{}
	var path []string
	var visit func(i *Image)
	visit = func(i *Image) {
		path = append(path, i.Name)
		for n, d := range i.Dependencies {
			dependency, known := images[d.Image]
			if !known || done[d.Image] {
				continue
			}
			start := slices.Index(path, d.Image)
			if start < 0 {
				visit(dependency)
				continue
			}
			circle := append(slices.Clone(path[start:]), d.Image)
			for i := range circle {
				circle[i] = display(circle[i])
			}
			if len(circle) == 2 {
				p.errs.Add(i.dependencyAt(n).Errorf("image %q depends on itself", circle[0]))
				continue
			}
			p.errs.Add(i.dependencyAt(n).Errorf("images depend on each other in a circle: %s", strings.Join(circle, " -> ")).
				Advise("remove one of these dependencies"))
		}
		path = path[:len(path)-1]
		done[i.Name] = true
	}
	for n := range p.config.Images {
		if i := &p.config.Images[n]; !done[i.Name] {
			visit(i)
		}
	}
}
