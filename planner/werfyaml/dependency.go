package werfyaml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/planner/diag"
)

// Dependency is another image of the file that an image is built after, and
// whose values it may have as build arguments.
type Dependency struct {
	Image   string // its name
	Imports []Import
}

// Import gives one value of a dependency to a build argument.
type Import struct {
	Type           ImportType
	TargetBuildArg string // no other import of the image has it, nor its args
}

// ImportType is which value of an image is given.
type ImportType string

// The values of an image that can be given.
const (
	ImageName   ImportType = "ImageName"   // REPO:TAG
	ImageTag    ImportType = "ImageTag"    // TAG
	ImageRepo   ImportType = "ImageRepo"   // REPO
	ImageID     ImportType = "ImageID"     // the digest of the image's config
	ImageDigest ImportType = "ImageDigest" // the digest of the manifest or index
)

var importTypes = []string{string(ImageName), string(ImageTag), string(ImageRepo), string(ImageID), string(ImageDigest)}

// dependencyAt is where the dependency with an index is named.
func (i *Image) dependencyAt(index int) diag.Pos { return i.At(fmt.Sprintf("dependencies[%d]", index)) }

func (s *section) dependencies(into *[]Dependency) func(field) {
	const shell = "it is of the shell syntax; the values of a dependency come as build arguments here: targetBuildArg"
	return func(f field) {
		for _, item := range s.items(f) {
			var d Dependency
			var named *field
			name := s.oneKey("keep from, the newer spelling", func(f field) {
				named = &f
				d.Image, _ = s.filled(f)
			})
			fields, ok := s.submapping(item)
			given := s.read(fields, vocabulary{strconv.Quote(item.path), []key{
				{name: "from", read: name},
				{name: "image", read: name},
				{name: "imports", read: s.imports(&d.Imports)},
				{name: "before", why: shell},
				{name: "after", why: shell},
			}})
			if ok && !given["from"] && !given["image"] {
				s.errs.Add(item.at.Errorf("%q names no image", item.path).Advise("write from: and the name of another image of this file"))
			}
			if d.Image == "" {
				continue
			}
			// The index is that of the result: positions are looked up by it.
			s.at[fmt.Sprintf("dependencies[%d]", len(*into))] = named.at
			*into = append(*into, d)
		}
	}
}

func (s *section) imports(into *[]Import) func(field) {
	return func(f field) {
		for _, item := range s.items(f) {
			var i Import
			fields, ok := s.submapping(item)
			given := s.read(fields, vocabulary{strconv.Quote(item.path), []key{
				{name: "type", read: func(f field) {
					text, ok := s.filled(f)
					if ok && !slices.Contains(importTypes, text) {
						d := f.at.Errorf("%q must be one of %s, found %.60q", f.path, strings.Join(importTypes, ", "), text)
						s.errs.Add(d.Advise("%s", diag.DidYouMean(text, importTypes)))
					}
					i.Type = ImportType(text)
				}},
				{name: "targetBuildArg", read: func(f field) {
					text, ok := s.filled(f)
					if err := variableName(text); ok && err != nil {
						s.errs.Add(f.at.Errorf("%q %v, found %.60q", f.path, err, text))
					}
					i.TargetBuildArg = text
				}},
				{name: "targetEnv", why: "a Dockerfile image takes the value as a build argument: targetBuildArg"},
			}})
			for _, key := range []string{"type", "targetBuildArg"} {
				// targetEnv is told already, with what to write instead of it.
				if ok && !given[key] && !(key == "targetBuildArg" && given["targetEnv"]) {
					s.errs.Add(item.at.Errorf("%q has no %s", item.path, key).
						Advise("write for example {type: ImageName, targetBuildArg: BASE}"))
				}
			}
			if i.TargetBuildArg != "" {
				s.targets = append(s.targets, target{i.TargetBuildArg, s.at[item.path+".targetBuildArg"]})
			}
			*into = append(*into, i)
		}
	}
}

// target is a build argument that an import sets.
type target struct {
	arg string
	at  diag.Pos
}

// checkImports tells build arguments that are set twice.
func (s *section) checkImports(d *draft) {
	first := map[string]diag.Pos{}
	for _, t := range s.targets {
		if at, twice := first[t.arg]; twice {
			s.errs.Add(t.at.Errorf("build argument %q is set twice, first on line %d", t.arg, at.Line).
				Advise("give one of the imports another targetBuildArg"))
			continue
		}
		first[t.arg] = t.at
		if _, twice := d.Args[t.arg]; twice {
			s.errs.Add(t.at.Errorf("build argument %q is set by args too, on line %d", t.arg, s.at["args."+t.arg].Line).
				Advise("remove one of the two"))
		}
	}
}
