package werfyaml

import (
	"cmp"
	"regexp"
	"strings"
	"text/template/parse"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// Meta is the section with configVersion.
type Meta struct {
	Project    string // 1 to 50 of a-z, 0-9 and inner hyphens
	ChartDir   string // deploy.helmChartDir, relative to the project, clean
	AppVersion string // deploy.helmChartConfig.appVersion; empty: the chart's own

	Build       Build
	Deploy      Deploy
	Cleanup     Cleanup
	GitWorktree GitWorktree
	positions
}

// Build is what images have that do not say otherwise. Each Image has it in it
// already.
type Build struct {
	CacheVersion string
	Platforms    []string // normal forms, in file order, each once
	ImageSpec    ImageSpec
}

// Deploy is where a release goes. Both names are Go templates with the
// delimiters [[ and ]]; their syntax has been checked.
type Deploy struct {
	HelmRelease     string // DefaultRelease when not given
	HelmReleaseSlug bool   // whether the name is made one that Helm accepts; true when not given
	Namespace       string // DefaultRelease when not given
	NamespaceSlug   bool   // true when not given
}

// DefaultRelease is the template of a release's name and of its namespace.
// Without an environment it is the project alone.
const DefaultRelease = "[[ project ]]-[[ env ]]"

// GitWorktree says what may be done to a clone that lacks history.
type GitWorktree struct {
	ForceShallowClone               bool
	AllowUnshallow                  bool // true when not given
	AllowFetchOriginBranchesAndTags bool // true when not given
}

func defaultMeta() Meta {
	return Meta{
		ChartDir:    DefaultChartDir,
		Deploy:      Deploy{HelmRelease: DefaultRelease, HelmReleaseSlug: true, Namespace: DefaultRelease, NamespaceSlug: true},
		Cleanup:     Cleanup{KeepImagesBuiltWithinLastNHours: 2, KeepPolicies: DefaultKeepPolicies()},
		GitWorktree: GitWorktree{AllowUnshallow: true, AllowFetchOriginBranchesAndTags: true},
	}
}

const metaExample = "project: myproject\nconfigVersion: 1"

// indent sets an example off from the advice that it is in.
func indent(example string) string { return "  " + strings.ReplaceAll(example, "\n", "\n  ") }

var projectName = regexp.MustCompile(`^(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])$`)

const projectNameAdvice = "use at most 50 lower-case letters, digits and hyphens, with no hyphen at either end"

func isProjectName(name string) bool { return len(name) <= 50 && projectName.MatchString(name) }

func (s *section) parseMeta() {
	if s.meta != nil {
		s.errs.Add(s.pos.Errorf("a second section with configVersion or project; the first is on line %d", s.meta.pos.Line).
			Advise("keep one of them; put lines of three hyphens between sections"))
		return
	}
	s.meta = s
	m := defaultMeta()
	given := s.read(s.fields, vocabulary{metaSection, s.metaKeys(&m)})
	for _, key := range []string{"configVersion", "project"} {
		if !given[key] {
			s.errs.Add(s.pos.Errorf("%s is missing from the project's section", key).
				Advise("write:\n\n%s", indent(metaExample)))
		}
	}
	m.positions = positions{s.pos, s.at}
	s.config.Meta = m
}

func (s *section) metaKeys(m *Meta) []key {
	return []key{
		{name: "configVersion", read: s.configVersion},
		{name: "project", read: func(f field) { m.Project = s.projectName(f) }},
		{name: "build", read: s.build(&m.Build)},
		{name: "deploy", read: s.object(s.deployKeys(m)...)},
		{name: "cleanup", read: s.cleanup(&m.Cleanup)},
		{name: "gitWorktree", read: s.object(
			key{name: "forceShallowClone", read: s.boolTo(&m.GitWorktree.ForceShallowClone)},
			key{name: "allowUnshallow", read: s.boolTo(&m.GitWorktree.AllowUnshallow)},
			key{name: "allowFetchOriginBranchesAndTags", read: s.boolTo(&m.GitWorktree.AllowFetchOriginBranchesAndTags)},
		)},
	}
}

func (s *section) configVersion(f field) {
	var version int
	if f.value.Kind != yaml.ScalarNode || f.value.ShortTag() != "!!int" || f.value.Decode(&version) != nil || version != 1 {
		s.errs.Add(f.at.Errorf("configVersion must be 1, found %s", yamlnode.Describe(f.value)))
	}
}

func (s *section) projectName(f field) string {
	if yamlnode.IsNull(f.value) {
		s.errs.Add(f.keyAt.Errorf("project has no value").Advise("write its name: project: myproject"))
		return ""
	}
	name, ok := s.text(f)
	if ok && !isProjectName(name) {
		s.errs.Add(f.at.Errorf("%.60q cannot be the name of a project", name).Advise("%s", projectNameAdvice))
	}
	return cmp.Or(s.project, name)
}

func (s *section) build(b *Build) func(field) {
	return s.object(
		key{name: "cacheVersion", read: s.textTo(&b.CacheVersion)},
		key{name: "platform", read: s.platforms(&b.Platforms)},
		// Layers are always cached: both values mean the same here.
		key{name: "staged", read: s.boolTo(new(bool))},
		key{name: "imageSpec", read: s.globalSpec(&b.ImageSpec)},
	)
}

func (s *section) deployKeys(m *Meta) []key {
	return []key{
		{name: "helmChartDir", read: func(f field) {
			if text, ok := s.text(f); ok {
				m.ChartDir = s.projectPath(f, text)
			}
		}},
		{name: "helmChartConfig", read: s.object(key{name: "appVersion", read: s.textTo(&m.AppVersion)})},
		{name: "helmRelease", read: s.releaseTemplate(&m.Deploy.HelmRelease)},
		{name: "helmReleaseSlug", read: s.boolTo(&m.Deploy.HelmReleaseSlug)},
		{name: "namespace", read: s.releaseTemplate(&m.Deploy.Namespace)},
		{name: "namespaceSlug", read: s.boolTo(&m.Deploy.NamespaceSlug)},
	}
}

// releaseTemplate checks the syntax only: which functions there are is for
// those to know who execute the template.
func (s *section) releaseTemplate(into *string) func(field) {
	return func(f field) {
		if yamlnode.IsNull(f.value) {
			return
		}
		if f.value.Kind == yaml.SequenceNode {
			s.errs.Add(f.at.Errorf("%q must be text, found a list", f.path).
				Advise("put a template that begins with [[ in quotes: \"[[ project ]]\""))
			return
		}
		text, ok := s.filled(f)
		if !ok {
			return
		}
		tree := parse.New(f.key)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(text, "[[", "]]", map[string]*parse.Tree{}); err != nil {
			message := strings.TrimPrefix(err.Error(), "template: "+f.key+":")
			s.errs.Add(f.at.Errorf("%q is not a template: line %s", f.path, message).
				Advise("write for example [[ project ]]-[[ env ]]"))
			return
		}
		*into = text
	}
}

// projectPath cleans a path that must stay in the project; "" after an error.
func (s *section) projectPath(f field, text string) string {
	clean, err := cleanPath(text, "the project directory")
	if err != nil {
		s.errs.Add(f.at.Errorf("%q %v", f.path, err))
		return ""
	}
	if leaves(clean) {
		s.errs.Add(f.at.Errorf("%q leaves the project directory: %q", f.path, text).
			Advise("only files of the project's commit are read; put it in the project directory"))
		return ""
	}
	return clean
}

// positions are where the values of a section stand.
type positions struct {
	section diag.Pos
	at      map[string]diag.Pos
}

// At is the position of the value of a key, or of the section's first line when
// the file does not give the key. Deeper values have a path, "args.NAME",
// "contextAddFiles.PATH" (the clean path), "deploy.helmChartDir", and lists an
// index: "secrets[0].id". That of "dependencies[0]" is where the dependency is
// named.
func (p positions) At(key string) diag.Pos {
	if pos, ok := p.at[key]; ok {
		return pos
	}
	return p.section
}
