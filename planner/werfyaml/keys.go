package werfyaml

import (
	"slices"
	"strconv"
	"strings"

	"slipway/planner/diag"
)

// key is one key that a mapping may have.
type key struct {
	name string
	read func(field) // nil for a key that is refused
	why  string      // of a refused key: what to do instead
}

// vocabulary is the keys that one kind of mapping may have.
type vocabulary struct {
	what string // for messages: "an image's section"
	keys []key
}

const (
	metaSection  = "the project's section"
	imageSection = "an image's section"
)

// shellKeys are those of the shell syntax that a Dockerfile image does not
// share.
var shellKeys = []string{
	"artifact", "from", "fromImage", "fromArtifact", "fromLatest", "fromCacheVersion",
	"disableGitAfterPatch", "git", "shell", "ansible", "docker", "mount", "import",
}

// read gives each field to what reads its key, and tells the keys that the
// vocabulary does not have. Given are the keys that are there, or that a
// misspelt one was probably meant to be: telling that those are missing would
// only repeat it.
func (s *section) read(fields []field, v vocabulary) (given map[string]bool) {
	given = map[string]bool{}
	for _, f := range fields {
		k := v.find(f.key)
		if k == nil || k.read == nil {
			s.errs.Add(s.reject(f, v, k))
			given[diag.Suggest(f.key, v.names())] = true
			continue
		}
		given[f.key] = true
		s.at[f.path] = f.at
		k.read(f)
	}
	return given
}

// object reads a mapping with the given keys, none of which is required.
func (s *section) object(keys ...key) func(field) {
	return func(f field) {
		fields, _ := s.submapping(f)
		s.read(fields, vocabulary{strconv.Quote(f.path), keys})
	}
}

func (v vocabulary) find(name string) *key {
	if i := slices.IndexFunc(v.keys, func(k key) bool { return k.name == name }); i >= 0 {
		return &v.keys[i]
	}
	return nil
}

func (v vocabulary) names() []string {
	names := make([]string, len(v.keys))
	for i, k := range v.keys {
		names[i] = k.name
	}
	return names
}

// works says which keys are read.
func (v vocabulary) works() string {
	var names []string
	for _, k := range v.keys {
		if k.read != nil {
			names = append(names, k.name)
		}
	}
	return "what works in " + v.what + " is " + strings.Join(names, ", ")
}

// reject is the diagnostic of a key that is not read: refused is its entry in
// the vocabulary, nil when there is none.
func (s *section) reject(f field, v vocabulary, refused *key) *diag.Diagnostic {
	if refused != nil {
		return f.keyAt.Errorf("%q cannot be given here", f.path).Advise("%s", refused.why)
	}
	d := f.keyAt.Errorf("unknown key %.100q", f.path)
	if similar := diag.DidYouMean(f.key, v.names()); similar != "" {
		return d.Advise("%s", similar)
	}
	for _, home := range s.homes() {
		if home.what == v.what || home.find(f.key) == nil {
			continue
		}
		if v.isSection() && home.isSection() {
			return d.Advise("it belongs in %s; a line of three hyphens begins a new section", home.what)
		}
		return d.Advise("it belongs in %s", home.what)
	}
	if v.what == imageSection && slices.Contains(shellKeys, f.key) {
		return d.Advise("it is of the shell syntax and has no meaning beside dockerfile")
	}
	return d.Advise("%s", v.works())
}

func (v vocabulary) isSection() bool { return v.what == metaSection || v.what == imageSection }

// homes are the vocabularies whose keys people most often put elsewhere.
func (s *section) homes() []vocabulary {
	return []vocabulary{
		{metaSection, s.metaKeys(&Meta{})},
		{`"deploy"`, s.deployKeys(&Meta{})},
		{imageSection, s.imageKeys(&draft{})},
		{`"imageSpec.config"`, s.specConfigKeys(&ImageSpec{})},
	}
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
	case s.hasAny(vocabulary{keys: s.metaKeys(&Meta{})}.names()), misspelt("configVersion"):
		return kindMeta
	}
	return kindUnknown
}
