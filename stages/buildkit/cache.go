package buildkit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"slipway/oci"
	"slipway/stages"

	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// cacheType is BuildKit's name of a cache that is a manifest in a registry.
const cacheType = "registry"

// cacheImports are the caches that steps may be taken from. BuildKit passes over
// one that it cannot read.
func cacheImports(from []oci.Reference) []gateway.CacheOptionsEntry {
	var out []gateway.CacheOptionsEntry
	for _, ref := range from {
		out = append(out, gateway.CacheOptionsEntry{Type: cacheType, Attrs: map[string]string{"ref": ref.String()}})
	}
	return out
}

// cacheExports is the cache to store: a plain OCI manifest, which is what all
// registries take (an index of blobs, the older form, is refused by some).
func cacheExports(to stages.CacheTo) []client.CacheOptionsEntry {
	mode := "max"
	if to.Min {
		mode = "min"
	}
	keep := make([]string, len(to.BaseLayers))
	for i, id := range to.BaseLayers {
		keep[i] = id.String()
	}
	return []client.CacheOptionsEntry{{Type: cacheType, Attrs: map[string]string{
		"ref": to.Ref.String(), "mode": mode, "image-manifest": "true", "oci-mediatypes": "true",
		// Of the embedded BuildKit only; others ignore them.
		"source-date-epoch": strconv.Itoa(SourceDate), "base-layers": strings.Join(keep, ","),
	}}}
}

// cacheDescriptor reads which cache has been stored; there is none of a build
// that has no layers.
func cacheDescriptor(resp *client.SolveResponse) (desc ocispec.Descriptor, err error) {
	if raw := resp.ExporterResponse[remotecache.ExporterResponseManifestDesc]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &desc); err != nil {
			return desc, fmt.Errorf("reading BuildKit's answer: %w", err)
		}
	}
	return desc, nil
}
