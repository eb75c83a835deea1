package buildkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"

	"slipway/oci"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
)

// exportEntry says where BuildKit puts the image: to a registry it pushes by
// itself (layers that it never had to fetch are mounted or streamed from where
// they are), into a layout it writes through the session.
func exportEntry(repo oci.Reference) (client.ExportEntry, error) {
	attrs := imageAttrs()
	if !repo.IsLayout() {
		maps.Copy(attrs, map[string]string{
			string(exptypes.OptKeyName):         repo.Name(),
			string(exptypes.OptKeyPush):         "true",
			string(exptypes.OptKeyPushByDigest): "true",
		})
		return client.ExportEntry{Type: client.ExporterImage, Attrs: attrs}, nil
	}
	store, err := newLayoutStore(repo.Dir)
	if err != nil {
		return client.ExportEntry{}, fmt.Errorf("opening layout %s: %w", repo.Dir, err)
	}
	attrs["tar"] = "false"
	return client.ExportEntry{Type: client.ExporterOCI, Attrs: attrs, OutputStore: store}, nil
}

// layoutStore is a containerd content store over a layout's blobs. Its
// ingests carry a random prefix: containerd locks them within one process only,
// and two runs may write the same blob of one layout at once.
type layoutStore struct {
	content.Store
	prefix string
}

func newLayoutStore(dir string) (content.Store, error) {
	store, err := contentlocal.NewStore(dir)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	rand.Read(random[:]) //nolint:errcheck // crypto/rand.Read never fails
	return &layoutStore{Store: store, prefix: hex.EncodeToString(random[:]) + "-"}, nil
}

func (s *layoutStore) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var o content.WriterOpts
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	return s.Store.Writer(ctx, append(opts, content.WithRef(s.prefix+o.Ref))...)
}
