package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

const localScheme = "local://"

// rewrite passes every operation of a definition through edit and recomputes the
// digests of everything above, so that two definitions that differ only in what
// edit levels become byte for byte the same. The result shares nothing with def.
// Sources have attributes, if only empty ones.
func rewrite(def *llb.Definition, edit func(*pb.Op)) (*llb.Definition, error) {
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
		if src := op.GetSource(); src != nil && src.Attrs == nil {
			src.Attrs = map[string]string{}
		}
		edit(&op)
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

// Apart is the definition for one more solve, whose context BuildKit does not take
// for that of another solve at the same time. To what they share it gives a key of
// the session that came first, and a step that is found by that key has no other:
// no cache can be exported that ends in it.
func Apart(def *llb.Definition) (*llb.Definition, error) {
	return rewrite(def, func(op *pb.Op) {
		if src := op.GetSource(); src != nil && strings.HasPrefix(src.Identifier, localScheme) {
			src.Attrs[pb.AttrLocalUniqueID] = identity.NewID()
		}
	})
}

// canonical is the definition as it is hashed. What a local source reads is
// hashed as a listing of files, so its attributes (a random id, the session,
// hints, the patterns themselves) are dropped; an image of the project is its key.
func canonical(def *llb.Definition, project images) (*llb.Definition, error) {
	return rewrite(def, func(op *pb.Op) {
		if src := op.GetSource(); src != nil {
			if strings.HasPrefix(src.Identifier, localScheme) {
				src.Attrs = nil
			}
			delete(src.Attrs, pb.AttrKnownSSHHosts) // how a host is known, not what it holds
			project.byKey(src)
		}
		if exec := op.GetExec(); exec != nil {
			levelExec(exec)
		}
	})
}

// levelExec drops what only says how a RUN is run: proxies, how a cache mount is
// shared, whether a secret or ssh socket may be absent.
func levelExec(exec *pb.ExecOp) {
	if exec.Meta != nil {
		exec.Meta.ProxyEnv = nil
	}
	for _, m := range exec.Mounts {
		if m.CacheOpt != nil {
			m.CacheOpt.Sharing = 0
		}
		if m.SecretOpt != nil {
			m.SecretOpt.Optional = false
		}
		if m.SSHOpt != nil {
			m.SSHOpt.Optional = false
		}
	}
	for _, s := range exec.Secretenv {
		s.Optional = false
	}
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
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
		if src := op.GetSource(); src != nil {
			out = append(out, src)
		}
	}
	return out, nil
}
