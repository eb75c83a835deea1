package chart

import (
	"bytes"
	"encoding/json"
	"fmt"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// Pack makes a package of files that are a whole chart already, in their order.
// meta is what its Chart.yaml says. The archive is read back with Helm's own
// loader, so what Helm would refuse is refused here.
func Pack(meta *helm.Metadata, files []*loader.BufferedFile) (*Package, error) {
	archive, err := WriteArchive(meta.Name, files)
	if err != nil {
		return nil, fmt.Errorf("packing chart %s: %w", meta.Name, err)
	}
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("the packed chart %s is not one that Helm takes: %v", meta.Name, err)}
	}
	config, err := json.Marshal(c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("writing the config of chart %s: %w", meta.Name, err)
	}
	return &Package{Name: c.Name(), Version: c.Metadata.Version, Archive: archive, Config: config, Annotations: annotations(c.Metadata)}, nil
}
