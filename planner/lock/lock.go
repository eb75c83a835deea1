// Package lock reads and writes werf.lock, which pins what an image is made from
// and the project does not hold: base images, by the digest that their names
// stood for when the file was written, and what remote ADDs fetch, by the digest
// of the file or the commit of the repository.
//
// It must never know how a name is resolved, nor ask a registry.
package lock

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	digest "github.com/opencontainers/go-digest"
	"gopkg.in/yaml.v3"
)

// FileName is the file's name, next to werf.yaml.
const FileName = "werf.lock"

// version is the format's; a file of a later one is refused.
const version = 1

// File is the content of a werf.lock.
type File struct {
	// Draft is a file in the making: what it lacks floats, instead of being an error.
	Draft   bool
	Bases   map[string]Base   // by normalised name, "docker.io/library/node:22"
	Remotes map[string]Remote // by URL, of a repository with its ref: "https://example.org/a.git#v1"
}

// Base is what one name stands for.
type Base struct {
	Digest digest.Digest
	// OnBuild are the image's ONBUILD triggers: they become part of every image
	// that is made from it, and so of its key.
	OnBuild []string
}

// Remote is what an ADD fetches: a file or a git repository. One field is set.
type Remote struct {
	Digest digest.Digest // sha256 of the file's content
	Commit string        // id in lower case hexadecimal, 40 or 64 digits
}

// ID is what the entry pins.
func (b Base) ID() string { return b.Digest.String() }

// ID is what the entry pins.
func (r Remote) ID() string {
	if r.Commit != "" {
		return r.Commit
	}
	return r.Digest.String()
}

// Equal tells whether two entries are the same.
func (b Base) Equal(other Base) bool {
	return b.Digest == other.Digest && slices.Equal(b.OnBuild, other.OnBuild)
}

// Equal tells whether two entries are the same.
func (r Remote) Equal(other Remote) bool { return r == other }

var commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// IsCommit tells whether text is the full id of a commit.
func IsCommit(text string) bool { return commitID.MatchString(text) }

// document is the file as YAML has it.
type document struct {
	Version int               `yaml:"version"`
	Bases   map[string]base   `yaml:"bases"`
	Remotes map[string]remote `yaml:"remotes,omitempty"`
}

type base struct {
	Digest  string   `yaml:"digest"`
	OnBuild []string `yaml:"onbuild,omitempty"`
}

type remote struct {
	Digest string `yaml:"digest,omitempty"`
	Commit string `yaml:"commit,omitempty"`
}

const header = "# What the base images and remote files of this project stand for. Written by `slipway lock`.\n"

// Marshal writes the file: sorted, an entry to two lines, for people to review.
func (f *File) Marshal() ([]byte, error) {
	doc := document{Version: version, Bases: map[string]base{}, Remotes: map[string]remote{}}
	for name, b := range f.Bases {
		doc.Bases[name] = base{Digest: b.Digest.String(), OnBuild: b.OnBuild}
	}
	for name, r := range f.Remotes {
		doc.Remotes[name] = remote{Digest: r.Digest.String(), Commit: r.Commit}
	}
	out := bytes.NewBufferString(header)
	e := yaml.NewEncoder(out) // maps are written sorted
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing %s: %w", FileName, err)
	}
	return out.Bytes(), nil
}
