package main

import (
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func stagesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stages", Short: "Work with what builds have left in a repository"}
	cmd.AddCommand(copyStagesCommand())
	return cmd
}

func copyStagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --from REPO --to REPO",
		Short: "Copy built images under their keys, to seed or move a cache",
		Long: `Copy what is kept under keys, images of all platforms and charts, so that nothing has to be built again
where it arrives. Both ends are one of
  HOST/REPO     a repository in a registry
  archive:FILE  an OCI image layout in a tar file; .tar.zst and .tar.gz are compressed
  oci:DIR       an OCI image layout in a directory
Tags that people chose, such as those of export, are not copied. A key that is there already stays as it
is; the same command finishes a copy that was cut off. With --all=false the keys of the project at its
commit are copied, after building in the source what is missing there; the flags that say what the
project is and how it is built matter then only.`,
		Args: cobra.NoArgs,
		Example: `  slipway stages copy --from example.org/myproject --to archive:cache.tar.zst
  slipway stages copy --from archive:cache.tar.zst --to other.example.org/myproject`,
	}
	f := newFlags(cmd)
	var r runFlags
	var c pipeline.CopyOptions
	all := true
	f.StringVar(&c.From, "from", "", "Where to copy from")
	f.StringVar(&c.To, "to", "", "Where to copy to")
	f.BoolVar(&all, "all", all, "Copy all that there is; with --all=false, what the current commit needs")
	r.source(f)
	r.platform(f)
	f.registry(&r)
	r.running(f)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := r.options(nil)
		if err != nil {
			return err
		}
		c.Commit = !all
		return r.show(cmd, func(o pipeline.Options) (*pipeline.Report, error) {
			return pipeline.CopyStages(cmd.Context(), o, c)
		}, o)
	}
	return cmd
}
