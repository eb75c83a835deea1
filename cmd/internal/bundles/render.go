package bundles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"slipway/oci"
	"slipway/planner/diag"
	"slipway/stages/bundle"
	"slipway/stages/chart/render"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

// ManifestOptions say how a chart is rendered.
type ManifestOptions struct {
	Release, Namespace, Env string // "" are Helm's defaults, and no environment
	Values                  render.Values
	KubeVersion             string // "" is that of Helm's libraries
	APIVersions             []string
	IncludeCRDs             bool
	ShowOnly                []string // paths of templates in the chart, patterns
	Validate                bool
	// Read reads a file of values; nil reads the file system.
	Read func(name string) ([]byte, error)
	// Decrypt decrypts a file of encrypted values.
	Decrypt func(name string, data []byte) ([]byte, error)
	// Service are values that nothing else overrides.
	Service map[string]any
	// Dir is what the chart is called in errors; "" is its name.
	Dir string
	// Renderer is what renders; nil is this program.
	Renderer render.Program
}

// Manifests are what a chart renders.
type Manifests struct {
	Text string // as `helm template` prints it
	// Unchecked are versions and kinds that a validation could not look at.
	Unchecked []string
}

// RenderOptions say which bundle is rendered: the one at Ref, or the unpacked one
// in Dir.
type RenderOptions struct {
	Ref, Dir string
	Registry oci.Options
	ManifestOptions
}

// Render renders a bundle. None of its images is looked for.
func Render(ctx context.Context, o RenderOptions) (_ *Manifests, err error) {
	if o.Dir != "" {
		c, err := loader.LoadDir(o.Dir)
		if err != nil {
			return nil, &diag.Diagnostic{File: o.Dir, Message: fmt.Sprintf("this is not a chart: %v", err)}
		}
		o.ManifestOptions.Dir = o.Dir
		return RenderChart(ctx, c, o.ManifestOptions)
	}
	at, from, err := openBundle(ctx, o.Ref, o.Registry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	chart, err := from.chart(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", at, err)
	}
	b, err := bundle.Read(chart.archive)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", at, err)
	}
	c, err := b.Chart()
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", at, err)
	}
	return RenderChart(ctx, c, o.ManifestOptions)
}

// RenderChart renders a chart. Values win in this order: service values, decrypted
// ones, the user's, the chart's own. What the user has to mend is a diagnostic.
func RenderChart(ctx context.Context, c *helm.Chart, o ManifestOptions) (*Manifests, error) {
	diagnosed := diagnoser{name: c.Name(), dir: o.Dir}
	if o.Read == nil {
		o.Read = os.ReadFile
	}
	values, err := o.Values.Merge(o.Read)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &diag.Diagnostic{Message: err.Error()}
		}
		return nil, diagnosed.err(err)
	}
	secrets, err := decrypted(c, o.Decrypt)
	if err != nil {
		return nil, err
	}
	values = render.Over(render.Over(render.Over(values, secrets), o.Service), o.service())
	options := render.Options{
		Release: o.Release, Namespace: o.Namespace, Values: values, KubeVersion: o.KubeVersion, APIVersions: o.APIVersions,
		IncludeCRDs: o.IncludeCRDs, Secrets: secrets != nil, Program: o.Renderer,
	}
	var manifests []render.Manifest
	var findings render.Findings
	if o.Validate {
		manifests, findings, err = render.Checked(ctx, c, options)
	} else {
		manifests, err = render.Render(ctx, c, options)
	}
	if err != nil {
		return nil, diagnosed.err(err)
	}
	out := &Manifests{Text: render.Text(manifests)}
	if len(o.ShowOnly) > 0 {
		if out.Text, err = render.Only(manifests, o.ShowOnly); err != nil {
			return nil, diagnosed.err(err)
		}
	}
	if o.Validate {
		out.Unchecked = findings.Unchecked
		return out, diagnosed.problems(findings.Problems)
	}
	return out, nil
}

// service are the service values that are known only where a bundle goes.
func (o ManifestOptions) service() map[string]any {
	werf, global := map[string]any{}, map[string]any{}
	if o.Namespace != "" {
		werf["namespace"] = o.Namespace
	}
	if o.Env != "" {
		werf["env"], global["env"] = o.Env, o.Env
	}
	out := map[string]any{}
	if len(werf) > 0 {
		out["werf"] = werf
	}
	if len(global) > 0 {
		out["global"] = global
	}
	return out
}

const secretValuesFile = "secret-values.yaml"

// decrypted are the values of the chart's secret-values.yaml; nil if it has none.
// Those of sub-charts are nobody's: the reference does not read them either.
func decrypted(c *helm.Chart, decrypt func(string, []byte) ([]byte, error)) (map[string]any, error) {
	for _, sub := range c.Dependencies() {
		if file := rawFile(sub, secretValuesFile); file != nil {
			return nil, &diag.Diagnostic{File: sub.ChartFullPath() + "/" + secretValuesFile, Message: "encrypted values of sub-charts are not supported",
				Advice: fmt.Sprintf("move them to the chart's own %s, below %s", secretValuesFile, sub.Name())}
		}
	}
	file := rawFile(c, secretValuesFile)
	if file == nil {
		return nil, nil
	}
	name := c.Name() + "/" + secretValuesFile
	if decrypt == nil {
		return nil, &diag.Diagnostic{File: name, Message: "the values are encrypted"}
	}
	text, err := decrypt(name, file.Data)
	if err != nil {
		return nil, fmt.Errorf("decrypting %s: %w", name, err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, &diag.Diagnostic{File: name, Message: "the decrypted values cannot be read"} // without what is in them
	}
	return values, nil
}

func rawFile(c *helm.Chart, name string) *helm.File {
	i := slices.IndexFunc(c.Raw, func(f *helm.File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return c.Raw[i]
}

// diagnoser makes diagnostics of errors in templates.
type diagnoser struct{ name, dir string }

// file is how people know a template of CHART/templates/x.yaml.
func (d diagnoser) file(path string) string {
	if below, ok := strings.CutPrefix(path, d.name+"/"); ok && d.dir != "" {
		return d.dir + "/" + below
	}
	return path
}

func (d diagnoser) err(err error) error {
	var e *render.Error
	if !errors.As(err, &e) {
		return err
	}
	var advice []string
	for _, at := range e.Via {
		advice = append(advice, "called from "+d.file(at))
	}
	if e.Advice != "" {
		advice = append(advice, e.Advice)
	}
	return &diag.Diagnostic{File: d.file(e.File), Line: e.Line, Column: e.Column, Source: e.Source, Message: e.Message, Advice: strings.Join(advice, "\n")}
}

func (d diagnoser) problems(problems []*render.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var list diag.List
	of := map[string]bool{}
	for _, p := range problems {
		of[p.Path] = true
		text := *p
		text.Path = d.file(p.Path)
		list.Add(&diag.Diagnostic{Message: text.Error()})
	}
	noun := "mistakes"
	if len(problems) == 1 {
		noun = "mistake"
	}
	return fmt.Errorf("what is rendered is not valid: %d %s in %d of the chart's files\n%w", len(problems), noun, len(of), list.Err())
}
