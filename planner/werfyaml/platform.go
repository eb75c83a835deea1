package werfyaml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"gopkg.in/yaml.v3"

	"slipway/planner/diag"
	"slipway/planner/yamlnode"
)

// platforms reads a list of platforms in their normal form, each once. An empty
// list is as if it were not there.
func (s *section) platforms(into *[]string) func(field) {
	return func(f field) {
		if text, ok := scalarText(f.value); ok && f.value.Kind == yaml.ScalarNode {
			s.errs.Add(f.at.Errorf("%q must be a list, found %s", f.path, yamlnode.Describe(f.value)).
				Advise("write %s: [%.60s]", f.key, text))
			return
		}
		var found []string
		for _, item := range s.items(f) {
			text, ok := s.filled(item)
			if !ok {
				continue
			}
			platform, err := normalPlatform(text)
			if err != nil {
				s.errs.Add(item.at.Errorf("%.60q is not a platform: %v", text, err).
					Advise("write OS/ARCH or OS/ARCH/VARIANT, for example linux/amd64 or linux/arm/v7"))
			} else if !slices.Contains(found, platform) {
				found = append(found, platform)
			}
		}
		if len(found) > 0 {
			*into = found
		}
	}
}

// normalPlatform is the normal form of OS/ARCH[/VARIANT]. Nothing of it is
// taken from the machine, and unlike what registries hold, it must be known.
func normalPlatform(text string) (string, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 {
		return "", fmt.Errorf("it has one part only")
	}
	if len(parts) > 3 {
		return "", fmt.Errorf("it has too many parts")
	}
	p, err := platforms.Parse(text)
	if err != nil || p.OSVersion != "" || len(p.OSFeatures) > 0 {
		return "", fmt.Errorf("only letters, digits, _, . and - are allowed in its parts")
	}
	// A single word is accepted by the library only if it is a known OS or
	// architecture, whose other half it then takes from the machine.
	for i, word := range []string{p.OS, p.Architecture} {
		known, err := platforms.Parse(word)
		if err != nil || i == 0 && known.OS != p.OS || i == 1 && known.Architecture != p.Architecture {
			return "", fmt.Errorf("unknown %s %q", [...]string{"operating system", "architecture"}[i], parts[i])
		}
	}
	return platforms.FormatAll(platforms.Normalize(p)), nil
}

// CheckPlatforms tells each image that is built for a platform for which an
// image that it depends on is not. Fallback is what those images are built for
// that name no platform; when it is empty, they are not checked. (Where the
// command line sets the platforms of all images, there is nothing to check.)
func (c *Config) CheckPlatforms(fallback []string) error {
	var wrong diag.List
	images := c.byName()
	effective := func(i *Image) []string {
		if len(i.Platforms) > 0 {
			return i.Platforms
		}
		return fallback
	}
	for n := range c.Images {
		i := &c.Images[n]
		for at, d := range i.Dependencies {
			dependency, ok := images[d.Image]
			if !ok || len(effective(dependency)) == 0 {
				continue
			}
			for _, platform := range effective(i) {
				if !slices.Contains(effective(dependency), platform) {
					wrong.Add(i.dependencyAt(at).Errorf("image %q is built for %s, but %q, which it depends on, only for %s",
						display(i.Name), platform, d.Image, strings.Join(effective(dependency), ", ")).
						Advise("add %s to the platform list of image %q", platform, d.Image))
				}
			}
		}
	}
	return wrong.Err()
}
