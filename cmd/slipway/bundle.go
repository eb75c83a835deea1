package main

import (
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "publish",
		Short:   "Publish the project's chart together with its images",
		Long:    "Publish the project's chart (.helm) as REPO:TAG, with the images that it names, building what is missing. Helm and everything that reads charts from a registry can use it as it is.",
		Args:    cobra.NoArgs,
		Example: "  slipway bundle publish --repo example.org/bundles/mybundle --tag 1.2.3",
	}
	f := newFlags(cmd)
	var r runFlags
	p := pipeline.PublishOptions{Tag: "latest"}
	r.project(f)
	r.running(f)
	r.saves(f)
	r.uses(f)
	f.noEffectSwitch(noChartRepos, "skip-dependencies-repo-refresh", "L")
	f.str(&p.Tag, "tag", "Publish the bundle under this tag; a version becomes the chart's version")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := r.options(nil)
		if err != nil {
			return err
		}
		return r.show(cmd, func(o pipeline.Options) (*pipeline.Report, error) {
			return pipeline.Publish(cmd.Context(), o, p)
		}, o)
	}
	return cmd
}
