package werfyaml

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// Image is one name of a section with a dockerfile. What a section does not say
// it has from the project's section. Images of one section share their slices
// and maps: they are to be read only.
type Image struct {
	// Name is segments of A-Z a-z 0-9 _ . - joined by slashes, unique; "" is
	// the one image that needs no name.
	Name            string
	Dockerfile      string            // relative to Context, clean; within the project
	Context         string            // relative to the project, clean; "." is the project itself
	ContextAddFiles []string          // relative to Context, clean, within it; in file order
	Target          string            // stage to build; empty: the last one
	Args            map[string]string // build arguments; nil when there are none
	AddHost         []string          // "HOST:IP", for /etc/hosts during the build
	Network         string            // network mode of the build; empty: the default
	SSH             string            // as the --ssh flag of docker build; empty: none
	Secrets         []Secret          // in file order, their ids unique
	Dependencies    []Dependency      // in file order
	Platforms       []string          // normal forms, each once; nil: not said
	Final           bool              // whether the image is for export and bundles by default
	CacheVersion    string            // another one makes another key
	ImageSpec       *ImageSpec        // build.imageSpec and the image's own; nil when nothing is changed
	positions
}

var imageName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?` +
	`(?:/[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)*$`)

// display is a name as people read and write it: the nameless image is "~".
func display(name string) string {
	if name == "" {
		return "~"
	}
	return name
}

// draft is an image's section before what depends on other keys is known.
type draft struct {
	Image
	names                 []name
	dockerfile, imageSpec *field
}

type name struct {
	text string
	at   diag.Pos
}

func (s *section) imageKeys(d *draft) []key {
	addFiles := s.oneKey("put all paths under contextAddFiles", s.addFiles(d))
	return []key{
		{name: "image", read: func(f field) { d.names = s.names(f) }},
		{name: "dockerfile", read: func(f field) { d.dockerfile = &f }},
		{name: "context", read: func(f field) {
			// An empty context is the default, as users of templates expect.
			if text, ok := s.text(f); ok && text != "" {
				d.Context = s.projectPath(f, text)
			}
		}},
		{name: "contextAddFiles", read: addFiles},
		{name: "contextAddFile", read: addFiles},
		{name: "target", read: s.textTo(&d.Target)},
		{name: "args", read: s.mapTo(&d.Args, entry{"argument", variableName, argument})},
		{name: "addHost", read: s.addHost(&d.AddHost)},
		{name: "network", read: s.textTo(&d.Network)},
		{name: "ssh", read: s.textTo(&d.SSH)},
		{name: "secrets", read: s.secrets(&d.Secrets)},
		{name: "dependencies", read: s.dependencies(&d.Dependencies)},
		// Layers are always cached: both values mean the same here.
		{name: "staged", read: s.boolTo(new(bool))},
		{name: "platform", read: s.platforms(&d.Platforms)},
		{name: "final", read: s.boolTo(&d.Final)},
		{name: "cacheVersion", read: func(f field) {
			if text, ok := s.text(f); ok && text != "" {
				d.CacheVersion = text
			}
		}},
		{name: "imageSpec", read: func(f field) { d.imageSpec = &f }},
	}
}

func (s *section) parseImage() {
	build := s.config.Meta.Build
	d := &draft{Image: Image{
		Context: ".", Final: true, CacheVersion: build.CacheVersion, Platforms: build.Platforms,
	}}
	given := s.read(s.fields, vocabulary{imageSection, s.imageKeys(d)})
	if !given["image"] {
		s.errs.Add(s.pos.Errorf("this image has no name").
			Advise("name it: image: app; the only image of a project may be image: ~"))
	}
	// The context may stand below the Dockerfile that is relative to it.
	if d.dockerfile != nil {
		d.Dockerfile = s.dockerfile(*d.dockerfile, d.Context)
	} else if !given["dockerfile"] {
		s.errs.Add(s.pos.Errorf("this image has no dockerfile").Advise("add its path, relative to context: dockerfile: Dockerfile"))
	}
	s.checkImports(d)
	spec := s.mergedSpec(d, build.ImageSpec)
	if len(d.names) == 0 {
		s.incomplete = true
	}
	for _, n := range d.names {
		if !s.claim(n) {
			continue
		}
		i := d.Image
		i.Name, i.positions = n.text, positions{s.pos, s.at}
		if len(d.names) > 1 {
			i.at = maps.Clone(s.at)
			i.at["image"] = n.at
		}
		i.ImageSpec = spec.forImage(s.config.Meta.Project, i.Name)
		s.config.Images = append(s.config.Images, i)
	}
}

// mergedSpec reads the image's own spec over the global one, so that it wins
// whatever both say. What is removed has the elements of both.
func (s *section) mergedSpec(d *draft, global ImageSpec) ImageSpec {
	var spec ImageSpec
	if d.Final {
		spec = global
	}
	if d.imageSpec == nil {
		return spec
	}
	inherited := len(spec.RemoveLabels)
	s.ownSpec(&spec)(*d.imageSpec)
	// An image that removes a label does not want it from the project either.
	maps.DeleteFunc(spec.Labels, func(name, _ string) bool {
		_, own := s.at["imageSpec.config.labels."+name]
		return !own && slices.ContainsFunc(spec.RemoveLabels[inherited:], func(p Pattern) bool { return p.Match(name) })
	})
	return spec
}

// names reads the value of image: a name, a list of them, or nothing.
func (s *section) names(f field) []name {
	if yamlnode.IsNull(f.value) {
		return []name{{"", f.keyAt}}
	}
	if f.value.Kind != yaml.SequenceNode {
		text, ok := s.text(f)
		if !ok {
			return nil
		}
		s.checkName(text, f.at)
		return []name{{text, f.at}}
	}
	if len(f.value.Content) == 0 {
		s.errs.Add(f.at.Errorf("%q is an empty list", f.path).Advise("name at least one image: [app]"))
	}
	var names []name
	for _, item := range s.items(f) {
		if text, ok := s.filled(item); ok {
			s.checkName(text, item.at)
			names = append(names, name{text, item.at})
		}
	}
	return names
}

func (s *section) checkName(name string, at diag.Pos) {
	if name != "" && !imageName.MatchString(name) {
		s.errs.Add(at.Errorf("%.60q cannot be the name of an image", name).
			Advise("use letters, digits, _, . and -, in parts joined by /, each beginning and ending with a letter or digit"))
	}
}

// claim tells a name that another image has already.
func (s *section) claim(n name) bool {
	if first, taken := s.claimed[n.text]; taken {
		s.errs.Add(n.at.Errorf("image %q is defined twice, first on line %d", display(n.text), first.Line).
			Advise("give one of them another name"))
		return false
	}
	s.claimed[n.text] = n.at
	return true
}

func (s *section) dockerfile(f field, context string) string {
	if yamlnode.IsNull(f.value) {
		s.errs.Add(f.keyAt.Errorf("dockerfile has no value").Advise("write its path, relative to context: dockerfile: Dockerfile"))
		return ""
	}
	text, ok := s.text(f)
	if !ok {
		return ""
	}
	clean, err := cleanPath(text, "context")
	switch {
	case err != nil:
		s.errs.Add(f.at.Errorf("%q %v", f.path, err))
	case leaves(path.Join(context, clean)):
		s.errs.Add(f.at.Errorf("%q leaves the project directory: %q in context %q", f.path, text, context).
			Advise("it is relative to context; only files of the project's commit are read"))
	default:
		return clean
	}
	return ""
}

// addFiles reads one path or a list of them.
func (s *section) addFiles(d *draft) func(field) {
	return func(f field) {
		for _, item := range s.oneOrMore(f) {
			text, ok := scalarText(item.value)
			if !ok {
				s.errs.Add(item.at.Errorf("%q must be a path or a list of paths, found %s", f.key, yamlnode.Describe(item.value)))
				continue
			}
			clean, err := cleanPath(text, "context")
			if err != nil {
				s.errs.Add(item.at.Errorf("%q %v", f.key, err))
				continue
			}
			if leaves(clean) {
				s.errs.Add(item.at.Errorf("%q leaves the context: %q", f.key, text).
					Advise("a path is relative to context; widen the context to reach it"))
				continue
			}
			d.ContextAddFiles = append(d.ContextAddFiles, clean)
			s.at["contextAddFiles."+clean] = item.at
		}
	}
}

// addHost reads one HOST:IP or a list of them.
func (s *section) addHost(into *[]string) func(field) {
	return func(f field) {
		for _, item := range s.oneOrMore(f) {
			text, ok := s.filled(item)
			if !ok {
				continue
			}
			host, ip, found := strings.Cut(text, ":")
			if err := checkHost(host, ip, found); err != nil {
				s.errs.Add(item.at.Errorf("%q %v, found %.60q", item.path, err, text).
					Advise("for example registry.local:10.0.0.1"))
				continue
			}
			*into = append(*into, text)
		}
	}
}

func checkHost(host, ip string, found bool) error {
	if !found || host == "" || strings.ContainsAny(host, " \t\r\n/") {
		return fmt.Errorf("must be HOST:IP")
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]")); err != nil {
		return fmt.Errorf("must have an IP address after the host's name")
	}
	return nil
}
