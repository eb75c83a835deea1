package main

import (
	"errors"
	"fmt"

	"slipway/cmd/internal/bundles"

	"github.com/spf13/cobra"
)

func bundleRenderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render [BUNDLE]",
		Short: "Print the manifests of a bundle",
		Long: `Print the manifests that a bundle's chart renders, as helm template prints them.
BUNDLE is HOST/REPO[:TAG], archive:FILE or oci:DIR[:TAG]; --repo and --tag name one in a registry, too,
and --bundle-dir one that is unpacked. No image is looked for.`,
		Args: oneBundle,
		Example: `  slipway bundle render example.org/bundles/app:1.2.3 --namespace prod --set replicas=3
  slipway bundle render archive:app.tar.zst --validate --kube-version 1.33`,
	}
	f := newFlags(cmd)
	var r runFlags
	var m renderFlags
	var o bundles.RenderOptions
	var repo string
	tag := "latest"
	m.add(f)
	f.values(&m.Values)
	f.str(&m.Env, "env", "The environment's name, .Values.werf.env in the chart")
	f.str(&repo, "repo", "The repository of the bundle")
	f.str(&tag, "tag", "The bundle's tag in --repo")
	f.StringVarP(&o.Dir, "bundle-dir", "b", "", "The directory of an unpacked bundle")
	f.reads("bundle-dir", "WERF_BUNDLE_DIR")
	f.registry(&r)
	f.noLog()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			o.Ref, o.Dir = args[0], "" // whatever the environment has
		case o.Dir != "" && repo != "":
			return &usageError{errors.New("--repo and --bundle-dir both say which bundle: leave one out")}
		case o.Dir == "" && repo == "":
			return &usageError{errors.New("which bundle? give HOST/REPO:TAG, archive:FILE or oci:DIR:TAG, or --repo and --tag, or --bundle-dir")}
		case o.Dir == "":
			o.Ref = repo + ":" + tag
		}
		o.Registry, o.ManifestOptions = r.Registry, m.options()
		manifests, err := bundles.Render(cmd.Context(), o)
		return m.print(cmd, manifests, err)
	}
	return cmd
}

// oneBundle refuses a command line that says twice which bundle it is about.
func oneBundle(cmd *cobra.Command, args []string) error {
	for _, name := range []string{"repo", "tag", "bundle-dir"} {
		if len(args) > 0 && cmd.Flags().Changed(name) {
			return fmt.Errorf("%s and --%s both say which bundle: leave one out", args[0], name)
		}
	}
	return cobra.MaximumNArgs(1)(cmd, args)
}
