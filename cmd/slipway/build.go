package main

import (
	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func buildCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build [IMAGE…]",
		Short: "Build what the repository lacks, and publish nothing",
		Long:  "Build the images of werf.yaml (all, or those named) that the repository does not hold yet. Each is kept under its key tag; no other tag is touched.",
	}
	f := newFlags(cmd)
	var r runFlags
	r.project(f)
	r.running(f)
	r.saves(f)
	f.boolean(&r.Project.FinalOnly, "final-images-only", "", "Leave out images with final: false")
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
			return pipeline.Build(cmd.Context(), o)
		}, o)
	}
	return cmd
}
