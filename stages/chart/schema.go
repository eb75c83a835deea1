package chart

import (
	"bytes"
	"context"
	"errors"
	"path"

	renderer "slipway/stages/chart/render"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// Validate refuses a package whose values do not match the values.schema.json of
// the chart or of one of its sub-charts, as Helm would refuse to install it with
// no further values. Sub-charts that are switched off do not count. program has
// the schema library, as for package render.
func (s *Source) Validate(ctx context.Context, program renderer.Program, p *Package) error {
	c, err := loader.LoadArchive(bytes.NewReader(p.Archive))
	if err != nil {
		return s.wrong("", err)
	}
	m, err := renderer.CheckValues(ctx, program, c)
	var mistake *renderer.Error
	switch {
	case errors.As(err, &mistake):
		return s.wrong("", mistake)
	case err != nil || m == nil:
		return err
	}
	e := &Error{File: s.shown(path.Join(m.Place, schemaFile)), Message: "the values do not match the schema:\n" + m.Message}
	return e.advise("correct %s in values.yaml, --values or --set, or the schema; where the rest is given at installation, publish with --no-values-schema-validation", m.Values)
}
