// Package lock reads and writes werf.lock, which pins what an image is made from
// and the project does not hold: base images, by the digest that their names
// stood for when the file was written.
//
// It must never know how a name is resolved, nor ask a registry.
package lock

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"slipway/planner/diag"

	digest "github.com/opencontainers/go-digest"
	"gopkg.in/yaml.v3"
)

// FileName is the file's name, next to werf.yaml.
const FileName = "werf.lock"

// version is the format's; a file of a later one is refused.
const version = 1

// File is the content of a werf.lock.
type File struct {
	Bases map[string]Base // by normalised name, "docker.io/library/node:22"
}

// Base is what one name stands for.
type Base struct {
	Digest digest.Digest
	// OnBuild are the image's ONBUILD triggers: they become part of every image
	// that is made from it, and so of its key.
	OnBuild []string
}

// document is the file as YAML has it.
type document struct {
	Version int             `yaml:"version"`
	Bases   map[string]base `yaml:"bases"`
}

type base struct {
	Digest  string   `yaml:"digest"`
	OnBuild []string `yaml:"onbuild,omitempty"`
}

const header = "# What the base images of this project stand for. Written by `slipway lock`.\n"

// Parse reads a werf.lock. Its errors are diagnostics.
func Parse(file string, text []byte) (*File, error) {
	wrong := func(format string, args ...any) error {
		return &diag.Diagnostic{File: file, Message: fmt.Sprintf(format, args...), Advice: "write it anew with slipway lock"}
	}
	var doc document
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		return nil, wrong("%v", err)
	}
	if doc.Version != version {
		return nil, wrong("version %d of the format is not known, only %d is", doc.Version, version)
	}
	f := &File{Bases: map[string]Base{}}
	for _, name := range slices.Sorted(maps.Keys(doc.Bases)) {
		b := doc.Bases[name]
		dgst, err := digest.Parse(b.Digest)
		if err != nil {
			return nil, wrong("%s: %q is not a digest", name, b.Digest)
		}
		f.Bases[name] = Base{Digest: dgst, OnBuild: b.OnBuild}
	}
	return f, nil
}

// Marshal writes the file: sorted, a base to two lines, for people to review.
func (f *File) Marshal() ([]byte, error) {
	doc := document{Version: version, Bases: map[string]base{}}
	for name, b := range f.Bases {
		doc.Bases[name] = base{Digest: b.Digest.String(), OnBuild: b.OnBuild}
	}
	out := bytes.NewBufferString(header)
	e := yaml.NewEncoder(out) // maps are written sorted
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing %s: %w", FileName, err)
	}
	return out.Bytes(), nil
}

// Equal tells whether two entries are the same.
func (b Base) Equal(other Base) bool {
	return b.Digest == other.Digest && slices.Equal(b.OnBuild, other.OnBuild)
}
