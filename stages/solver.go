package stages

import (
	"context"
	"fmt"
	"strings"

	"slipway/oci"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
)

// Build is one image to make: everything a solver needs and nothing of where
// it came from.
type Build struct {
	Name       string // for people, "myapp"
	Platform   ocispec.Platform
	Definition *llb.Definition // what is run; base images are pinned by digest
	Config     []byte          // the image's config, JSON, without rootfs
	BaseConfig []byte          // of the image that it is based on: its layers stay as they are; nil for scratch
	// Contexts open the local sources that Definition names. onError is told of
	// any error of reading a file: fsutil's sender takes a file that cannot be
	// opened for an empty one, and waits for ever after a read that failed.
	Contexts map[string]func(onError func(error)) fsutil.FS
	// Secrets are what RUNs may mount, by id; SSH are agents or keys, by id.
	Secrets map[string][]byte
	SSH     []SSH
	// HostNetwork lets RUNs use the builder's network as it is.
	HostNetwork bool
	// Insecure lets RUNs that ask for it do all that the builder's root may.
	Insecure bool
	// LayoutStore is the name under which Definition reads images of the project
	// from Repo, if that is a layout; "" if it reads none.
	LayoutStore string
	// Repo is where layers, config and manifest go. They are stored by digest
	// only: naming the result is the caller's step.
	Repo oci.Reference
	// CacheFrom are tags of layer caches, the preferred first, whose layers the
	// solver may take instead of running steps. One that cannot be read is passed
	// over.
	CacheFrom []oci.Reference
	// CacheTo makes the solver store a layer cache, and no image; nil is no cache.
	CacheTo *CacheTo
}

// Operations are those of Definition, in its order.
func (b Build) Operations() ([]*pb.Op, error) {
	ops := make([]*pb.Op, len(b.Definition.Def))
	for i, dt := range b.Definition.Def {
		ops[i] = &pb.Op{}
		if err := ops[i].UnmarshalVT(dt); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
	}
	return ops, nil
}

// CacheTo is a layer cache to store: the layers of a build's steps, from which
// another machine takes those that are still right.
type CacheTo struct {
	Ref oci.Reference // a tag in a registry; it moves
	// Definition is the build's, with a context that no other solve has.
	Definition *llb.Definition
	// Min stores the layers of the image only, and not of what it was made from.
	Min bool
	// BaseLayers are the diff ids of layers of base images, which stay as they are.
	// A solver may store all others with fixed dates, as they are in the image.
	BaseLayers []digest.Digest
}

// SSH is an agent's socket or private keys that RUNs may mount.
type SSH struct {
	ID    string
	Paths []string // none means the agent at $SSH_AUTH_SOCK
}

// Solver turns a build into an image stored in Build.Repo, or into a layer cache
// if it has a CacheTo, and returns the descriptor of its manifest (of a cache, if
// there was anything to store). Progress goes to engine.Emit. Implementations:
// BuildKit in a process of this machine, a remote BuildKit, a fake.
type Solver interface {
	Solve(ctx context.Context, b Build) (ocispec.Descriptor, error)
}

// SolveError is a failed build: the place in the Dockerfile, the cause, and the
// last lines that the failing step printed.
type SolveError struct {
	Image string
	File  string
	Line  int      // 1-based; 0 when not known
	Text  string   // the instruction, as it stands in the file
	Tail  []string // last lines of the step's output
	// Fetch is set where a layer could not be fetched: a layer cache may have
	// promised it.
	Fetch bool
	Err   error
}

// Error shows the instruction under its position; the tail is not in it, since
// a log that shows the steps has printed it already (see Tail).
func (e *SolveError) Error() string {
	var b strings.Builder
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	b.WriteString(e.Err.Error())
	if e.Text != "" {
		for i, line := range strings.Split(e.Text, "\n") {
			fmt.Fprintf(&b, "\n  %d | %s", e.Line+i, line)
		}
	}
	return b.String()
}

func (e *SolveError) Unwrap() error { return e.Err }
