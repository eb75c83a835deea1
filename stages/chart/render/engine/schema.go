package engine

import (
	"path"
	"strings"

	"slipway/stages/chart/render/wire"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// mismatch finds values of a chart that do not match its values.schema.json or that
// of one of its sub-charts, as Helm would if the chart were installed with no further
// values. Sub-charts that are switched off do not count. The chart is changed by it.
func mismatch(c *helm.Chart) (*wire.Mismatch, error) {
	values := map[string]any{}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return nil, err
	}
	values, err := chartutil.CoalesceValues(c, values)
	if err != nil {
		return nil, err
	}
	return mismatchIn(c, values, "", ".Values"), nil
}

// mismatchIn checks one chart and those under it; place is its directory in the
// whole chart, and at the name of its values there.
func mismatchIn(c *helm.Chart, values map[string]any, place, at string) *wire.Mismatch {
	if c.Schema != nil {
		if err := chartutil.ValidateAgainstSingleSchema(values, c.Schema); err != nil {
			return &wire.Mismatch{Place: place, Values: at, Message: strings.TrimRight(err.Error(), "\n")}
		}
	}
	for _, sub := range c.Dependencies() {
		below, ok := values[sub.Name()].(map[string]any)
		if !ok {
			continue
		}
		if m := mismatchIn(sub, below, path.Join(place, "charts", sub.Name()), at+"."+sub.Name()); m != nil {
			return m
		}
	}
	return nil
}
