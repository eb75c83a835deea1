// Package render turns a chart into the manifests that Helm would install,
// through Helm's own engine and with no cluster: `lookup` finds nothing, and
// what the cluster can do is what is said in the options. The engine runs in a
// process of its own, which can be ended, and what it is made of is in no process
// that renders nothing.
//
// It must never know where a chart comes from, nor what becomes of the
// manifests; nor may it import what package engine is made of.
package render

import (
	"cmp"
	"context"

	"slipway/stages/chart/render/wire"

	helm "helm.sh/helm/v3/pkg/chart"
)

// What the process that renders speaks of, too.
type (
	// Error is something that the user has to mend: in a template, in values, or in
	// what was asked for.
	Error = wire.Error
	// Manifest is one resource as a template made it.
	Manifest = wire.Manifest
	// Problem is a mistake in a manifest.
	Problem = wire.Problem
	// Findings are what checking manifests comes to.
	Findings = wire.Findings
	// Mismatch is a chart's values that do not match its schema.
	Mismatch = wire.Mismatch
)

// ErrEndless is the cause of the Error of templates that call themselves without
// end.
var ErrEndless = wire.ErrEndless

// Options are what installing would bring. The zero value renders for a first
// installation, as "release-name" in the namespace "default", on the version of
// Kubernetes that Helm's libraries are made for.
type Options struct {
	Release   string
	Namespace string
	// Values go over the chart's own.
	Values map[string]any
	// KubeVersion is that of the cluster, as "1.33" or "v1.33.2"; APIVersions are
	// what it serves beside Kubernetes' own, as "example.org/v1" or
	// "example.org/v1/Foo".
	KubeVersion string
	APIVersions []string
	Upgrade     bool // .Release.IsUpgrade instead of .Release.IsInstall
	IncludeCRDs bool
	// SkipSchema leaves values unchecked against values.schema.json.
	SkipSchema bool
	// Secrets says that Values hold some: errors do not quote what is rendered.
	Secrets bool
	// Program is what renders; nil is this program.
	Program Program
}

// defaultKubeVersion is what a released helm takes a cluster to be: the version
// of the Kubernetes libraries that it is built with.
const defaultKubeVersion = "1.37.0"

// Render renders the chart, as its files (Raw) have it: CRDs if asked for, resources
// in the order in which Helm would install them, then hooks. NOTES.txt and empty
// documents are left out. What the user has to mend is an *Error. When ctx is done,
// nothing goes on.
func Render(ctx context.Context, c *helm.Chart, o Options) ([]Manifest, error) {
	manifests, _, err := o.render(ctx, c, false)
	return manifests, err
}

// Checked is Render, and checks the manifests against the types of Kubernetes'
// libraries, as strictly as a server that is asked to: fields that do not exist,
// values of the wrong type, keys that are there twice, kinds that do not exist.
func Checked(ctx context.Context, c *helm.Chart, o Options) ([]Manifest, Findings, error) {
	return o.render(ctx, c, true)
}

func (o Options) render(ctx context.Context, c *helm.Chart, validate bool) ([]Manifest, Findings, error) {
	r, err := o.Program.ask(ctx, "the templates of chart "+c.Name(), wire.Request{Render: &wire.Render{
		Chart: filesOf(c), Release: cmp.Or(o.Release, "release-name"), Namespace: cmp.Or(o.Namespace, "default"),
		Values: o.Values, KubeVersion: cmp.Or(o.KubeVersion, defaultKubeVersion), APIVersions: o.APIVersions,
		Upgrade: o.Upgrade, IncludeCRDs: o.IncludeCRDs, SkipSchema: o.SkipSchema, Secrets: o.Secrets, Validate: validate,
	}})
	if err != nil {
		return nil, Findings{}, err
	}
	return r.Manifests, r.Findings, nil
}

// CheckValues finds values of a chart that do not match its values.schema.json or
// that of one of its sub-charts, as Helm would if the chart were installed with no
// further values; nil if all match. Sub-charts that are switched off do not count.
func CheckValues(ctx context.Context, program Program, c *helm.Chart) (*Mismatch, error) {
	if !hasSchema(c) {
		return nil, nil
	}
	r, err := program.ask(ctx, "the values of chart "+c.Name(), wire.Request{Schemas: filesOf(c)})
	if err != nil {
		return nil, err
	}
	return r.Mismatch, nil
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

// filesOf are the files that a chart was loaded from, those of sub-charts included.
func filesOf(c *helm.Chart) []wire.File {
	files := make([]wire.File, len(c.Raw))
	for i, f := range c.Raw {
		files[i] = wire.File{Name: f.Name, Data: f.Data}
	}
	return files
}
