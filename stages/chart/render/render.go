// Package render turns a chart into the manifests that Helm would install,
// through Helm's own engine and with no cluster: `lookup` finds nothing, and
// what the cluster can do is what is said in the options.
//
// It must never know where a chart comes from, nor what becomes of the
// manifests.
package render

import (
	"cmp"
	"context"
	"fmt"
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
	// Secrets says that Values hold some: errors do not quote what is rendered.
	Secrets bool
}

// Manifest is one resource as a template made it.
type Manifest struct {
	Path    string // of the template: CHART/templates/x.yaml
	Content string // YAML, one document; a file of CRDs may have several
	Hook    bool   // a hook of Helm's
}

// defaultKubeVersion is what a released helm takes a cluster to be: the version
// of the Kubernetes libraries that it is built with.
const defaultKubeVersion = "1.37.0"

// Render renders the chart: CRDs if asked for, resources in the order in which
// Helm would install them, then hooks. The chart is changed by it: disabled
// sub-charts are taken out, as Helm does. NOTES.txt and empty documents are left
// out. What the user has to mend is an *Error.
//
// Helm's engine cannot be stopped. When ctx is done, or templates call themselves
// without end (ErrEndless), Render returns, but the engine goes on: the process has
// to end, before it runs out of memory.
func Render(ctx context.Context, c *helm.Chart, o Options) ([]Manifest, error) {
	type result struct {
		manifests []Manifest
		err       error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = &Error{Message: fmt.Sprintf("Helm's engine failed on chart %s: %v", c.Name(), p)}
			}
			done <- r
		}()
		r.manifests, r.err = render(c, o)
	}()
	watch, stop := context.WithCancel(ctx)
	defer stop()
	runaway := make(chan bool, 1)
	go func() { runaway <- endless(watch) }()
	select {
	case r := <-done:
		return r.manifests, r.err
	case is := <-runaway:
		if is {
			return nil, &Error{Cause: ErrEndless, Message: fmt.Sprintf("the templates of chart %s call themselves without end", c.Name()), Advice: "look for values that are given to tpl and name themselves, and for templates that include each other"}
		}
		return nil, ctx.Err()
	}
}

func render(c *helm.Chart, o Options) ([]Manifest, error) {
	all, err := o.prepare(c)
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
	var out []Manifest
	if o.IncludeCRDs {
		for _, crd := range c.CRDObjects() {
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

// prepare checks what Helm checks before it renders, takes disabled sub-charts
// out, and returns what templates see.
func (o Options) prepare(c *helm.Chart) (chartutil.Values, error) {
	release := chartutil.ReleaseOptions{
		Name: first(o.Release, "release-name"), Namespace: first(o.Namespace, "default"),
		Revision: 1, IsInstall: !o.Upgrade, IsUpgrade: o.Upgrade,
	}
	if chartutil.ValidateReleaseName(release.Name) != nil {
		return nil, &Error{Message: fmt.Sprintf("%q cannot be the name of a release", release.Name),
			Advice: "Helm takes up to 53 of a-z 0-9 - ., and begins and ends them with a letter or a digit"}
	}
	caps, err := o.capabilities()
	if err != nil {
		return nil, err
	}
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return nil, &Error{Message: fmt.Sprintf("chart %s is a %s: only an application can be installed", c.Name(), kind)}
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return nil, &Error{Message: fmt.Sprintf("chart %s wants Kubernetes %s, this is %s", c.Name(), want, caps.KubeVersion.Version),
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
		return nil, &Error{Message: fmt.Sprintf("the dependencies of chart %s: %v", c.Name(), err)}
	}
	all, err := chartutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, o.SkipSchema)
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("the values of chart %s: %v", c.Name(), err)}
	}
	return all, nil
}

// complete refuses a chart that lacks what it depends on: Helm's engine would
// render it without.
func complete(c *helm.Chart) error {
	for _, want := range c.Metadata.Dependencies {
		if want != nil && !slices.ContainsFunc(c.Dependencies(), func(d *helm.Chart) bool { return d.Name() == want.Name }) {
			return &Error{Message: fmt.Sprintf("chart %s depends on %s, which is not in its charts/", c.Name(), want.Name)}
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

func (o Options) capabilities() (*chartutil.Capabilities, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(first(o.KubeVersion, defaultKubeVersion))
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("%q is no version of Kubernetes: %v", o.KubeVersion, err), Advice: "write it as 1.33 or v1.33.2"}
	}
	caps.KubeVersion = *version
	caps.APIVersions = append(slices.Clone(caps.APIVersions), o.APIVersions...)
	return caps, nil
}

func first(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
