package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

const localScheme = "local://"

// rewriteSources passes every source operation of a definition through edit and
// recomputes the digests of everything above, so that two definitions that
// differ only in what edit levels become byte for byte the same. The result
// shares nothing with def.
func rewriteSources(def *llb.Definition, edit func(*pb.SourceOp)) (*llb.Definition, error) {
	out := &llb.Definition{
		Def:         make([][]byte, 0, len(def.Def)),
		Metadata:    make(map[digest.Digest]llb.OpMetadata, len(def.Metadata)),
		Constraints: def.Constraints,
	}
	renamed := make(map[string]string, len(def.Def))
	for _, dt := range def.Def { // inputs stand before what uses them
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
		for _, in := range op.Inputs {
			to, ok := renamed[in.Digest]
			if !ok {
				return nil, fmt.Errorf("reading the build definition: %s is used before it is defined", in.Digest)
			}
			in.Digest = to
		}
		if src := op.GetSource(); src != nil {
			edit(src)
		}
		edited, err := proto.MarshalOptions{Deterministic: true}.Marshal(&op)
		if err != nil {
			return nil, fmt.Errorf("writing the build definition: %w", err)
		}
		was, is := digest.FromBytes(dt), digest.FromBytes(edited)
		renamed[was.String()] = is.String()
		out.Def = append(out.Def, edited)
		if m, ok := def.Metadata[was]; ok {
			out.Metadata[is] = m
		}
	}
	if def.Source != nil {
		out.Source = &pb.Source{Infos: def.Source.Infos, Locations: make(map[string]*pb.Locations, len(def.Source.Locations))}
		for was, l := range def.Source.Locations {
			if is, ok := renamed[was]; ok {
				out.Source.Locations[is] = l
			}
		}
	}
	return out, nil
}

// canonical is the definition as it is hashed. What a local source reads is
// hashed as a listing of files, so its attributes (a random id, the session,
// hints, the patterns themselves) are dropped.
func canonical(def *llb.Definition) (*llb.Definition, error) {
	return rewriteSources(def, func(src *pb.SourceOp) {
		if strings.HasPrefix(src.Identifier, localScheme) {
			src.Attrs = nil
		}
	})
}

// root is the digest of the operation whose result is the image: through its
// inputs it stands for the whole definition.
func root(def *llb.Definition) digest.Digest {
	if len(def.Def) == 0 {
		return "" // FROM scratch alone: nothing is run
	}
	return digest.FromBytes(def.Def[len(def.Def)-1])
}

// sources lists the source operations of a definition.
func sources(def *llb.Definition) ([]*pb.SourceOp, error) {
	var out []*pb.SourceOp
	_, err := rewriteSources(def, func(src *pb.SourceOp) { out = append(out, src) })
	return out, err
}
