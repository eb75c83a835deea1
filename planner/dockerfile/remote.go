package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/planner/lock"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// Remote is a file or a git repository that an ADD fetches and the Dockerfile
// pins neither by a checksum nor by a full commit id.
type Remote struct {
	Name string // in the lock file and in messages: without credentials
	URL  string // as the Dockerfile has it; a repository's is without the ref
	Git  bool
	Ref  string // of a repository: a branch, a tag, either in full or not; "" is the default branch
	Pin  string // the checksum or the commit that the lock file has; "" without a lock file

	Dockerfile string
	Line       int // of an ADD that fetches it; 0 when not known
}

// RemoteName is the name under which the lock file has what an ADD of source
// fetches.
func RemoteName(source string) string {
	if git, ok, err := dfgitutil.ParseGitRef(source); ok && err == nil {
		return remoteName(git.Remote, git.Ref)
	}
	return remoteName(source, "")
}

func remoteName(url, ref string) string {
	if ref != "" {
		url += "#" + ref
	}
	return engine.Redact(url)
}

// remoteOf is what a source operation fetches; not ok if that is no remote, or if
// the Dockerfile pins it.
func remoteOf(src *pb.SourceOp) (r Remote, ok bool) {
	scheme, rest, _ := strings.Cut(src.Identifier, "://")
	switch scheme {
	case "http", "https":
		return Remote{Name: remoteName(src.Identifier, ""), URL: src.Identifier}, src.Attrs[pb.AttrHTTPChecksum] == ""
	case "git":
		_, fragment, _ := strings.Cut(rest, "#")
		ref, _, _ := strings.Cut(fragment, ":")
		url := shownSSH(src.Attrs[pb.AttrFullRemoteURL])
		return Remote{Name: remoteName(url, ref), URL: url, Git: true, Ref: ref}, src.Attrs[pb.AttrGitChecksum] == "" && !lock.IsCommit(ref)
	}
	return Remote{}, false
}

// pin makes a source fetch what the lock file says, and nothing else. It is not ok
// if the lock file does not say.
func (r *Remote) pin(src *pb.SourceOp, entry lock.Remote) (ok bool) {
	switch {
	case r.Git && entry.Commit != "":
		src.Attrs[pb.AttrGitChecksum] = entry.Commit
		// The commit itself is fetched, wherever the ref is by now. Where .git is
		// kept the ref is part of the result, so it has to be that commit still.
		if src.Attrs[pb.AttrKeepGitDir] != "true" {
			src.Attrs[pb.AttrGitFetchByCommit] = "true"
		}
	case !r.Git && entry.Digest != "":
		src.Attrs[pb.AttrHTTPChecksum] = entry.Digest.String()
	default:
		return false
	}
	r.Pin = entry.ID()
	return true
}

// pinRemotes pins what ADDs fetch as the lock file says, if there is one: then a
// remote that it lacks is an error. It returns the remotes, sorted by name.
func pinRemotes(in Input, def *llb.Definition, srcs []*pb.SourceOp) (*llb.Definition, []Remote, error) {
	if !slices.ContainsFunc(srcs, func(src *pb.SourceOp) bool { _, ok := remoteOf(src); return ok }) {
		return def, nil, nil
	}
	lines, err := addLines(def)
	if err != nil {
		return nil, nil, err
	}
	var remotes []Remote
	var missing diag.List
	text := diag.NewSource(in.Path, []byte(engine.Redact(string(in.Text))))
	def, err = rewrite(def, func(op *pb.Op) {
		src := op.GetSource()
		if src == nil {
			return
		}
		r, ok := remoteOf(src)
		if !ok {
			return
		}
		r.Dockerfile, r.Line = in.Path, lines[src.Identifier]
		if in.Lock != nil && !r.pin(src, in.Lock.Remotes[r.Name]) && !in.Lock.Draft {
			missing.Add(text.Pos(r.Line, 0).Errorf("%s is not in %s: run slipway lock and commit the file", r.Name, lock.FileName))
		}
		remotes = append(remotes, r)
	})
	if err == nil {
		err = missing.Err()
	}
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(remotes, func(a, b Remote) int { return strings.Compare(a.Name, b.Name) })
	return def, remotes, nil
}

// addLines are the lines of the instructions that use each source.
func addLines(def *llb.Definition) (map[string]int, error) {
	lines := map[string]int{}
	if def.Source == nil {
		return lines, nil
	}
	sources := map[string]string{} // digest -> identifier
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
		self := digest.FromBytes(dt).String()
		if src := op.GetSource(); src != nil {
			sources[self] = src.Identifier
		}
		places := def.Source.Locations[self].GetLocations()
		if len(places) == 0 || len(places[0].Ranges) == 0 {
			continue
		}
		for _, in := range op.Inputs {
			if name := sources[in.Digest]; name != "" && lines[name] == 0 {
				lines[name] = int(places[0].Ranges[0].Start.Line)
			}
		}
	}
	return lines, nil
}
