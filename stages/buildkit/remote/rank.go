package remote

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"slipway/stages"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// wants is what decides where a build goes.
type wants struct {
	// madeOf names what the image is built from in terms that outlive a change of
	// it: the repository, the Dockerfile's path, and the base images without their
	// digests. An image that is built again goes where its layers are.
	madeOf string
	// runs are the platforms of the build's RUNs: no other instruction runs
	// anything.
	runs []ocispec.Platform
}

func wantsOf(b stages.Build) (wants, error) {
	var w wants
	parts := []string{b.Repo.Name()}
	if b.Definition.Source != nil {
		for _, info := range b.Definition.Source.Infos {
			parts = append(parts, "file "+info.Filename)
		}
	}
	ops, err := b.Operations()
	if err != nil {
		return w, err
	}
	for _, op := range ops {
		if op.GetExec() != nil && op.GetPlatform() != nil {
			w.runs = append(w.runs, op.GetPlatform().Spec())
		}
		name, _, _ := strings.Cut(op.GetSource().GetIdentifier(), "@")
		switch {
		case strings.HasPrefix(name, "docker-image://"+b.Repo.Name()+":"), strings.HasPrefix(name, "oci-layout://"):
			parts = append(parts, "image of the project") // its tag is a key
		case strings.HasPrefix(name, "docker-image://"):
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	w.madeOf = strings.Join(slices.Compact(parts), "\n")
	return w, nil
}

// rank returns the builders that can do a build, the best first. If some run all
// its platforms natively, only they can: emulation is slower by far. Among equals
// it is rendezvous hashing: what an image is built from decides, and a builder
// that comes or goes moves the images that are its own and no others.
func rank(members []*member, w wants) []*member {
	able := slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return !m.can(w.runs, runs) })
	if native := slices.DeleteFunc(slices.Clone(able), func(m *member) bool { return !m.can(w.runs, runsNatively) }); len(native) > 0 {
		able = native
	}
	slices.SortStableFunc(able, func(a, b *member) int { return cmp.Compare(weight(b.name, w.madeOf), weight(a.name, w.madeOf)) })
	return able
}

func weight(builder, madeOf string) uint64 {
	sum := sha256.Sum256([]byte(builder + "\n" + madeOf))
	return binary.BigEndian.Uint64(sum[:])
}

// can tells whether how holds for each of the wanted platforms.
func (m *member) can(wanted []ocispec.Platform, how func(builder []ocispec.Platform, p ocispec.Platform) bool) bool {
	return !slices.ContainsFunc(wanted, func(p ocispec.Platform) bool { return !how(m.platforms, p) })
}

func runs(builder []ocispec.Platform, p ocispec.Platform) bool {
	return slices.ContainsFunc(builder, func(b ocispec.Platform) bool { return platforms.OnlyStrict(b).Match(p) })
}

// runsNatively: what follows the first platform in BuildKit's list may be emulated.
func runsNatively(builder []ocispec.Platform, p ocispec.Platform) bool {
	return runs(builder, p) && platforms.Only(builder[0]).Match(p)
}
