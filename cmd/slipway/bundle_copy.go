package main

import (
	"slipway/cmd/internal/bundles"
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func copyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --from BUNDLE --to BUNDLE",
		Short: "Copy a bundle, chart and images, between registries, archives and layouts",
		Long: `Copy a bundle: the chart and every image that it names, all platforms of each. A bundle is one of
  HOST/REPO[:TAG]  in a registry (without a tag: latest)
  archive:FILE     an OCI image layout in a tar file; .tar.zst and .tar.gz are compressed
  oci:DIR[:TAG]    an OCI image layout in a directory
In a registry, all images come to lie in the bundle's repository, and the chart names them there. An
archive and a layout hold the chart as it was. The tag, or the file's name, appears when everything is
there; the same command finishes a copy that was cut off.`,
		Args: cobra.NoArgs,
		Example: `  slipway bundle copy --from example.org/bundles/app:1.2.3 --to archive:app.tar.zst
  slipway bundle copy --from archive:app.tar.zst --to other.example.org/bundles/app:1.2.3`,
	}
	f := newFlags(cmd)
	var r runFlags
	o := bundles.CopyOptions{HelmCompatible: true}
	f.StringVar(&o.From, "from", "", "The bundle to copy")
	f.StringVar(&o.To, "to", "", "Where to copy it")
	f.str(&o.Rename, "rename-chart", "Give the chart this name")
	f.boolean(&o.HelmCompatible, "helm-compatible-chart", "C", "In a registry, call the chart as the last part of its repository, where Helm looks for it")
	f.BoolVar(&o.External, "with-external-images", false, "Take images along that the chart renders and that are not the project's, and name them in the values where they come to lie")
	f.StringVar(&o.Since, "since", "", "Write an archive without what this bundle has, which is there already where the archive goes")
	f.registry(&r)
	r.log.add(f)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := r.log.check(); err != nil {
			return err
		}
		o.Registry, o.Renderer = r.Registry, renderer
		return r.show(cmd, func(p pipeline.Options) (*pipeline.Report, error) {
			o.Sinks = p.Sinks
			report, err := bundles.Copy(cmd.Context(), o)
			if report == nil {
				return nil, err
			}
			return &pipeline.Report{Report: report.Report, Requests: report.Requests, Published: report.Published}, err
		}, r.Options)
	}
	return cmd
}
