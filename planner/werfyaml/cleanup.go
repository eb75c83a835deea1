package werfyaml

import (
	"strconv"
	"time"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// Cleanup says what is kept when a repository is cleaned up.
type Cleanup struct {
	Disable                            bool
	DisableKubernetesBasedPolicy       bool
	DisableGitHistoryBasedPolicy       bool
	DisableBuiltWithinLastNHoursPolicy bool
	KeepImagesBuiltWithinLastNHours    int // 2 when not given
	// KeepPolicies are DefaultKeepPolicies when none is given.
	KeepPolicies []KeepPolicy
}

// KeepPolicy keeps the images of some git references.
type KeepPolicy struct {
	References         References
	ImagesPerReference Limit // the newest one when not given
}

// References are tags or branches.
type References struct {
	Kind  ReferenceKind
	Name  Pattern
	Limit Limit // all when not given
}

// ReferenceKind is what a policy's references are.
type ReferenceKind string

// The kinds of references.
const (
	Tag    ReferenceKind = "tag"
	Branch ReferenceKind = "branch"
)

// Limit chooses among references, or among a reference's images, by age.
type Limit struct {
	Last     int           // how many of the newest; -1 for any number
	In       time.Duration // how old they may be; 0 for any age
	Operator Operator      // how Last and In are combined
}

// Operator combines the two conditions of a Limit.
type Operator string

// The operators.
const (
	And Operator = "And"
	Or  Operator = "Or"
)

const week = 7 * 24 * time.Hour

// DefaultKeepPolicies keep the ten newest tags, the two newest images of a week
// of up to ten branches that were active in it, and the two newest of the
// branches that projects deploy from.
func DefaultKeepPolicies() []KeepPolicy {
	named := func(text string) Pattern {
		p, _ := ParsePattern(text) // constants that compile
		return p
	}
	return []KeepPolicy{
		{References{Tag, named("/.*/"), Limit{10, 0, And}}, Limit{1, 0, And}},
		{References{Branch, named("/.*/"), Limit{10, week, And}}, Limit{2, week, And}},
		{References{Branch, named("/main|master|staging|production/"), Limit{-1, 0, And}}, Limit{2, 0, And}},
	}
}

func (s *section) cleanup(c *Cleanup) func(field) {
	return s.object(
		key{name: "disable", read: s.boolTo(&c.Disable)},
		key{name: "disableKubernetesBasedPolicy", read: s.boolTo(&c.DisableKubernetesBasedPolicy)},
		key{name: "disableGitHistoryBasedPolicy", read: s.boolTo(&c.DisableGitHistoryBasedPolicy)},
		key{name: "disableBuiltWithinLastNHoursPolicy", read: s.boolTo(&c.DisableBuiltWithinLastNHoursPolicy)},
		key{name: "keepImagesBuiltWithinLastNHours", read: s.intTo(&c.KeepImagesBuiltWithinLastNHours, 0)},
		key{name: "keepPolicies", read: func(f field) {
			var policies []KeepPolicy
			for _, item := range s.items(f) {
				policies = append(policies, s.keepPolicy(item))
			}
			// An empty list keeps the defaults: no policy at all would delete everything.
			if len(policies) > 0 {
				c.KeepPolicies = policies
			}
		}},
	)
}

func (s *section) keepPolicy(item field) KeepPolicy {
	p := KeepPolicy{ImagesPerReference: Limit{1, 0, And}}
	fields, ok := s.submapping(item)
	given := s.read(fields, vocabulary{strconv.Quote(item.path), []key{
		{name: "references", read: func(f field) { p.References = s.references(f) }},
		{name: "imagesPerReference", read: func(f field) {
			const unset = -2
			l := Limit{unset, 0, And}
			s.limit(&l)(f)
			if l.Last == unset {
				l.Last = 1
				if l.In > 0 { // an age alone decides alone
					l.Last = -1
				}
			}
			p.ImagesPerReference = l
		}},
	}})
	if ok && !given["references"] {
		s.errs.Add(item.at.Errorf("%q has no references", item.path).
			Advise("say which tags or branches it is for: references: {branch: main}"))
	}
	return p
}

func (s *section) references(f field) References {
	r := References{Limit: Limit{-1, 0, And}}
	var first *field
	name := func(kind ReferenceKind) func(field) {
		return func(f field) {
			if first != nil {
				s.errs.Add(f.keyAt.Errorf("a policy is for tags or for branches; the other is on line %d", first.keyAt.Line).
					Advise("write two policies"))
				return
			}
			first = &f
			r.Kind = kind
			r.Name, _ = s.pattern(f)
		}
	}
	fields, ok := s.submapping(f)
	if yamlnode.IsNull(f.value) {
		ok = true // so that what is missing is told
	}
	given := s.read(fields, vocabulary{strconv.Quote(f.path), []key{
		{name: "tag", read: name(Tag)},
		{name: "branch", read: name(Branch)},
		{name: "limit", read: s.limit(&r.Limit)},
	}})
	if ok && !given["tag"] && !given["branch"] {
		s.errs.Add(f.at.Errorf("%q has neither tag nor branch", f.path).
			Advise("give one of them, a name or a regular expression between slashes: branch: /.*/"))
	}
	return r
}

func (s *section) limit(l *Limit) func(field) {
	return s.object(
		key{name: "last", read: s.intTo(&l.Last, -1)},
		key{name: "in", read: s.durationTo(&l.In, false)},
		key{name: "operator", read: func(f field) {
			switch text, ok := s.text(f); {
			case !ok:
			case Operator(text) == And, Operator(text) == Or:
				l.Operator = Operator(text)
			default:
				s.errs.Add(f.at.Errorf("%q must be And or Or, found %.60q", f.path, text).
					Advise("%s", diag.DidYouMean(text, []string{string(And), string(Or)})))
			}
		}},
	)
}
