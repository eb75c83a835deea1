package chart

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// Validate refuses a package whose values do not match the values.schema.json of
// the chart or of one of its sub-charts, as Helm would refuse to install it with
// no further values. Sub-charts that are switched off do not count.
func (s *Source) Validate(p *Package) error {
	// Loaded anew: what follows changes the chart.
	c, err := loader.LoadArchive(bytes.NewReader(p.Archive))
	if err != nil {
		return s.wrong("", err)
	}
	if !hasSchema(c) {
		return nil
	}
	values := map[string]any{}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return s.wrong("", err)
	}
	if values, err = chartutil.CoalesceValues(c, values); err != nil {
		return s.wrong("", err)
	}
	return s.validate(c, values, "", ".Values")
}

func hasSchema(c *helm.Chart) bool {
	if c.Schema != nil {
		return true
	}
	for _, sub := range c.Dependencies() {
		if hasSchema(sub) {
			return true
		}
	}
	return false
}

// validate checks one chart and those under it; place is its directory in the
// whole chart, and at the name of its values there.
func (s *Source) validate(c *helm.Chart, values map[string]any, place, at string) error {
	if c.Schema != nil {
		if err := chartutil.ValidateAgainstSingleSchema(values, c.Schema); err != nil {
			e := &Error{File: s.shown(path.Join(place, schemaFile)),
				Message: fmt.Sprintf("the values do not match the schema:\n%s", strings.TrimRight(err.Error(), "\n"))}
			return e.advise("correct %s in values.yaml, --values or --set, or the schema; where the rest is given at installation, publish with --no-values-schema-validation", at)
		}
	}
	for _, sub := range c.Dependencies() {
		below, ok := values[sub.Name()].(map[string]any)
		if !ok {
			continue
		}
		if err := s.validate(sub, below, path.Join(place, "charts", sub.Name()), at+"."+sub.Name()); err != nil {
			return err
		}
	}
	return nil
}
