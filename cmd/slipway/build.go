package main

import (
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func buildCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build [IMAGE…]",
		Short: "Build what the repository lacks, and publish nothing",
		Long:  "Build the images of werf.yaml (all, or those named) that the repository does not hold yet. Each is kept under its key tag; no other tag is touched but those of --add-custom-tag.",
	}
	f := newFlags(cmd)
	var r runFlags
	var b pipeline.BuildOptions
	r.project(f)
	r.running(f)
	r.trusts(f)
	f.finalOnly(&r, false)
	f.customTags(&b.CustomTags)
	r.saves(f)
	f.boolean(&r.RequireBuilt, "check-built-images", "", "As --require-built-images")
	f.noEffectSwitch(noDocker, "disable-auto-host-cleanup", "")
	f.noEffect(noDocker, "backend-storage-path", "docker-server-storage-path",
		"allowed-backend-storage-volume-usage", "allowed-backend-storage-volume-usage-margin",
		"allowed-docker-storage-volume-usage", "allowed-docker-storage-volume-usage-margin",
		"allowed-local-cache-volume-usage", "allowed-local-cache-volume-usage-margin")
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		o, err := r.options(images)
		if err != nil {
			return err
		}
		return r.show(cmd, func(o pipeline.Options) (*pipeline.Report, error) {
			return pipeline.Build(cmd.Context(), o, b)
		}, o)
	}
	return cmd
}
