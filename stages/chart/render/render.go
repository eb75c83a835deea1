// Package render turns a chart into the manifests that Helm would install,
// through Helm's own engine and with no cluster: `lookup` finds nothing, and
// what the cluster can do is what is said in the options.
//
// It must never know where a chart comes from, nor what becomes of the
// manifests.
package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

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
}

// Manifest is one resource as a template made it.
type Manifest struct {
	Path    string // of the template: CHART/templates/x.yaml
	Content string // YAML, one document
	Hook    bool   // a hook of Helm's
}

// Render renders the chart: CRDs if asked for, resources in the order in which
// Helm would install them, then hooks. The chart is changed by it: disabled
// sub-charts are taken out, as Helm does. NOTES.txt and empty documents are left
// out.
func Render(c *helm.Chart, o Options) ([]Manifest, error) {
	caps, err := o.capabilities()
	if err != nil {
		return nil, err
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return nil, fmt.Errorf("chart %s wants Kubernetes %s, this is %s", c.Name(), want, caps.KubeVersion.Version)
	}
	values := o.Values
	if values == nil {
		values = map[string]any{}
	}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return nil, fmt.Errorf("chart %s: dependencies: %w", c.Name(), err)
	}
	release := chartutil.ReleaseOptions{
		Name: first(o.Release, "release-name"), Namespace: first(o.Namespace, "default"),
		Revision: 1, IsInstall: !o.Upgrade, IsUpgrade: o.Upgrade,
	}
	all, err := chartutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, o.SkipSchema)
	if err != nil {
		return nil, fmt.Errorf("chart %s: values: %w", c.Name(), err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, fmt.Errorf("rendering chart %s: %w", c.Name(), err)
	}
	for name := range files {
		if path.Base(name) == "NOTES.txt" {
			delete(files, name)
		}
	}
	hooks, resources, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("what chart %s renders is no manifest: %w", c.Name(), err)
	}
	var out []Manifest
	if o.IncludeCRDs {
		crds := c.CRDObjects()
		slices.SortStableFunc(crds, func(a, b helm.CRD) int { return strings.Compare(a.Filename, b.Filename) })
		for _, crd := range crds {
			out = append(out, Manifest{Path: crd.Filename, Content: string(crd.File.Data)})
		}
	}
	for _, m := range resources {
		out = append(out, Manifest{Path: m.Name, Content: m.Content})
	}
	for _, h := range hooks {
		out = append(out, Manifest{Path: h.Path, Content: h.Manifest, Hook: true})
	}
	return out, nil
}

func (o Options) capabilities() (*chartutil.Capabilities, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	if o.KubeVersion != "" {
		version, err := chartutil.ParseKubeVersion(o.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("%q is no version of Kubernetes: %w", o.KubeVersion, err)
		}
		caps.KubeVersion = *version
	}
	caps.APIVersions = append(slices.Clone(caps.APIVersions), o.APIVersions...)
	return caps, nil
}

// Text is the manifests as `helm template` prints them.
func Text(manifests []Manifest) string {
	var b strings.Builder
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Path, m.Content)
	}
	return b.String()
}

func first(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
