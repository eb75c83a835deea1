package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway/stages/chart/render/wire"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// manifests renders the chart: CRDs if asked for, resources in the order in which
// Helm would install them, then hooks. The chart is changed by it. NOTES.txt and
// empty documents are left out. The error is a *wire.Error.
func manifests(c *helm.Chart, o *wire.Render) ([]wire.Manifest, error) {
	all, err := prepare(c, o)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, templateError(c, err)
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, resources, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, manifestError(files, err, o.Secrets)
	}
	var out []wire.Manifest
	if o.IncludeCRDs {
		for _, crd := range c.CRDObjects() {
			out = append(out, wire.Manifest{Path: crd.Filename, Content: string(crd.File.Data)})
		}
	}
	for _, m := range resources {
		out = append(out, wire.Manifest{Path: m.Name, Content: m.Content})
	}
	for _, h := range hooks {
		out = append(out, wire.Manifest{Path: h.Path, Content: h.Manifest, Hook: true})
	}
	return out, nil
}

// prepare checks what Helm checks before it renders, takes disabled sub-charts
// out, and returns what templates see.
func prepare(c *helm.Chart, o *wire.Render) (chartutil.Values, error) {
	release := chartutil.ReleaseOptions{
		Name: o.Release, Namespace: o.Namespace,
		Revision: 1, IsInstall: !o.Upgrade, IsUpgrade: o.Upgrade,
	}
	if chartutil.ValidateReleaseName(release.Name) != nil {
		return nil, &wire.Error{Message: fmt.Sprintf("%q cannot be the name of a release", release.Name),
			Advice: "Helm takes up to 53 of a-z 0-9 - ., and begins and ends them with a letter or a digit"}
	}
	caps, err := capabilities(o)
	if err != nil {
		return nil, err
	}
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return nil, &wire.Error{Message: fmt.Sprintf("chart %s is a %s: only an application can be installed", c.Name(), kind)}
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return nil, &wire.Error{Message: fmt.Sprintf("chart %s wants Kubernetes %s, this is %s", c.Name(), want, caps.KubeVersion.Version),
			Advice: "--kube-version says what the cluster is"}
	}
	if err := complete(c); err != nil {
		return nil, err
	}
	inOrder(c)
	values := o.Values
	if values == nil {
		values = map[string]any{}
	}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return nil, &wire.Error{Message: fmt.Sprintf("the dependencies of chart %s: %v", c.Name(), err)}
	}
	all, err := chartutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, o.SkipSchema)
	if err != nil {
		return nil, &wire.Error{Message: fmt.Sprintf("the values of chart %s: %v", c.Name(), err)}
	}
	return all, nil
}

// complete refuses a chart that lacks what it depends on: Helm's engine would
// render it without.
func complete(c *helm.Chart) error {
	for _, want := range c.Metadata.Dependencies {
		if want != nil && !slices.ContainsFunc(c.Dependencies(), func(d *helm.Chart) bool { return d.Name() == want.Name }) {
			return &wire.Error{Message: fmt.Sprintf("chart %s depends on %s, which is not in its charts/", c.Name(), want.Name)}
		}
	}
	return nil
}

// inOrder sorts sub-charts, which Helm's loader leaves in the order of a map.
func inOrder(c *helm.Chart) {
	charts := slices.Clone(c.Dependencies())
	slices.SortStableFunc(charts, func(a, b *helm.Chart) int {
		return cmp.Or(strings.Compare(a.Name(), b.Name()), strings.Compare(a.Metadata.Version, b.Metadata.Version))
	})
	c.SetDependencies(charts...)
	for _, sub := range charts {
		inOrder(sub)
	}
}

func capabilities(o *wire.Render) (*chartutil.Capabilities, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(o.KubeVersion)
	if err != nil {
		return nil, &wire.Error{Message: fmt.Sprintf("%q is no version of Kubernetes: %v", o.KubeVersion, err), Advice: "write it as 1.33 or v1.33.2"}
	}
	caps.KubeVersion = *version
	caps.APIVersions = append(slices.Clone(caps.APIVersions), o.APIVersions...)
	return caps, nil
}
