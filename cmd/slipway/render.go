package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"slipway/cmd/internal/bundles"
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func renderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the manifests of the project's chart",
		Long: `Print the manifests that the project's chart renders, as helm template would print those of the bundle.
The images that it names are looked up, and built where they are missing; with --stub-tags they are
made up, and neither a registry nor BuildKit is needed.`,
		Args:    cobra.NoArgs,
		Example: "  slipway render --stub-tags --validate",
	}
	f := newFlags(cmd)
	var r runFlags
	var m renderFlags
	var given pipeline.ValuesOptions
	stub := false
	r.project(f)
	r.running(f)
	r.trusts(f)
	m.add(f)
	valuesFlags(f, &given)
	f.boolean(&stub, "stub-tags", "", "Use REPO:TAG for every image, looking for none and building none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := r.options(nil)
		if err != nil {
			return err
		}
		m.secret.Dir = o.Project.Dir
		var manifests *bundles.Manifests
		err = r.show(cmd, func(o pipeline.Options) (report *pipeline.Report, err error) {
			manifests, report, err = pipeline.Render(cmd.Context(), o, pipeline.RenderOptions{Stub: stub, Given: given, ManifestOptions: m.options()})
			return report, err
		}, o)
		return m.print(cmd, manifests, err)
	}
	return cmd
}

// renderFlags are what both commands that render take.
type renderFlags struct {
	bundles.ManifestOptions
	secret secretFlags
	output string
}

func (m *renderFlags) add(f *flags) {
	m.IncludeCRDs = true
	m.secret.flags = f
	m.secret.home()
	f.StringArrayVarP(&m.ShowOnly, "show-only", "s", nil, "Print only what this template renders, a path in the chart or a pattern; repeatable")
	f.reads("show-only", "WERF_SHOW_ONLY")
	f.StringVar(&m.output, "output", "", "Write to this file instead of standard output, when everything has succeeded")
	f.reads("output", "WERF_RENDER_OUTPUT")
	f.boolean(&m.IncludeCRDs, "include-crds", "", "Print custom resource definitions, too")
	f.boolean(&m.Validate, "validate", "", "Check what is rendered against the types of Kubernetes")
	f.str(&m.KubeVersion, "kube-version", "The version of Kubernetes that templates see (default: that of Helm's libraries)")
	f.StringSliceVarP(&m.APIVersions, "api-versions", "a", nil, "API versions that templates see beside Kubernetes' own; repeatable, or separated by commas")
	f.str(&m.Release, "release", "The release's name (default: in a project that of werf.yaml, else release-name)")
	f.str(&m.Namespace, "namespace", "The release's namespace, .Values.werf.namespace in the chart, too (default: in a project that of werf.yaml, else default)")
}

func (m *renderFlags) options() bundles.ManifestOptions {
	secrets := m.secret.options()
	m.Decrypt = func(name string, data []byte) ([]byte, error) {
		return pipeline.DecryptSecret(secrets, pipeline.SecretText{Name: name, Data: data, Values: true})
	}
	m.Renderer = renderer
	return m.ManifestOptions
}

// print writes the manifests. Those that are not valid are not written.
func (m *renderFlags) print(cmd *cobra.Command, manifests *bundles.Manifests, err error) error {
	if manifests != nil {
		for _, kind := range manifests.Unchecked {
			fmt.Fprintf(os.Stderr, "not checked, as it is not Kubernetes' own: %s\n", kind)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("rendering: %w", err)
	case err != nil:
		return err
	case m.output != "":
		return pipeline.WriteFile(m.output, []byte(manifests.Text), plainMode)
	}
	_, err = cmd.OutOrStdout().Write([]byte(manifests.Text))
	return err
}
