package werfyaml

import (
	"slices"
	"strings"

	"slipway/planner/diag"
)

// vocabulary is the keys that one kind of mapping may have.
type vocabulary struct {
	what        string            // for messages: "an image's section"
	prefix      string            // before the keys in messages: "deploy."
	supported   []string          // keys that are read
	unsupported map[string]string // keys that are not read yet, with what to do instead or ""
}

var metaKeys = vocabulary{
	what:      "the project's section",
	supported: []string{"configVersion", "project", "deploy"},
	unsupported: map[string]string{
		"build":       "give --platform, and --add-label for labels, on the command line",
		"cleanup":     "",
		"gitWorktree": "fetch the history that you need before the run",
	},
}

var deployKeys = vocabulary{
	what:      `"deploy"`,
	prefix:    "deploy.",
	supported: []string{"helmChartDir", "helmChartConfig"},
	unsupported: map[string]string{
		"helmRelease": "", "helmReleaseSlug": "", "namespace": "", "namespaceSlug": "",
	},
}

var chartKeys = vocabulary{
	what:      `"deploy.helmChartConfig"`,
	prefix:    "deploy.helmChartConfig.",
	supported: []string{"appVersion"},
}

var imageKeys = vocabulary{
	what: "an image's section",
	supported: []string{
		"image", "dockerfile", "context", "contextAddFiles", "contextAddFile", "target", "args", "final",
	},
	unsupported: map[string]string{
		"addHost":      "",
		"network":      "",
		"ssh":          "",
		"secrets":      "",
		"dependencies": "",
		"staged":       "leave it out: every instruction of a Dockerfile is cached by itself anyway",
		"platform":     "give --platform on the command line",
		"cacheVersion": "leave it out, or declare an ARG in the Dockerfile and change it in args",
		"imageSpec":    "use instructions of the Dockerfile, or --add-label for labels",
	},
}

// shellKeys are those of the shell syntax that a Dockerfile image does not
// share.
var shellKeys = []string{
	"artifact", "from", "fromImage", "fromArtifact", "fromLatest", "fromCacheVersion",
	"disableGitAfterPatch", "git", "shell", "ansible", "docker", "mount", "import",
}

// known is every key of the vocabulary, in an order that is always the same.
func (v vocabulary) known() []string {
	keys := slices.Clone(v.supported)
	for key := range v.unsupported {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// reject is the diagnostic of a key that the vocabulary does not support, nil
// for one that it does.
func (v vocabulary) reject(f field) *diag.Diagnostic {
	if slices.Contains(v.supported, f.key) {
		return nil
	}
	if advice, known := v.unsupported[f.key]; known {
		if advice == "" {
			advice = "remove it; " + v.works()
		}
		return f.keyAt.Errorf("%q is not supported yet", v.prefix+f.key).Advise("%s", advice)
	}
	return f.keyAt.Errorf("unknown key %.60q", v.prefix+f.key).Advise("%s", v.advice(f.key))
}

// advice is for a key that is not in the vocabulary.
func (v vocabulary) advice(key string) string {
	if similar := diag.DidYouMean(key, v.known()); similar != "" {
		return similar
	}
	for _, other := range []vocabulary{metaKeys, deployKeys, imageKeys} {
		if other.what == v.what || !slices.Contains(other.known(), key) {
			continue
		}
		if other.prefix == v.prefix {
			return "it belongs in " + other.what + "; a line of three hyphens begins a new section"
		}
		return "it belongs in " + other.what
	}
	if v.what == imageKeys.what && slices.Contains(shellKeys, key) {
		return "it is of the shell syntax and has no meaning beside dockerfile"
	}
	return v.works()
}

func (v vocabulary) works() string {
	return "what works in " + v.what + " is " + strings.Join(v.supported, ", ")
}

// kind is what a section describes.
type kind int

const (
	kindUnknown kind = iota
	kindMeta
	kindImage
	kindShell
)

// kind tells sections apart by their keys. configVersion, dockerfile, and image
// without it, decide as the format says; the rest is for mistakes, so that they
// are told as what they are: a missing or a misspelt key.
func (s *section) kind() kind {
	misspelt := func(key string) bool {
		return slices.ContainsFunc(s.fields, func(f field) bool { return diag.Suggest(f.key, []string{key}) != "" })
	}
	switch {
	case s.has("configVersion"):
		return kindMeta
	case s.has("dockerfile"):
		return kindImage
	case s.hasAny(shellKeys):
		return kindShell
	case s.has("image"), misspelt("dockerfile"):
		return kindImage
	case s.hasAny(metaKeys.known()), misspelt("configVersion"):
		return kindMeta
	}
	return kindUnknown
}

// check tells the keys that the vocabulary does not support and returns the
// fields that it does.
func (s *section) check(fields []field, v vocabulary) []field {
	var supported []field
	for _, f := range fields {
		d := v.reject(f)
		if d == nil {
			supported = append(supported, f)
			continue
		}
		s.errs.Add(d)
		s.typos[v.prefix+diag.Suggest(f.key, v.supported)] = true
	}
	return supported
}
