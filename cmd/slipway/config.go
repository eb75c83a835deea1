package main

import (
	"fmt"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

func configCommand() *cobra.Command {
	config := &cobra.Command{Use: "config", Short: "Look at werf.yaml as it is understood"}
	config.AddCommand(configRenderCommand(), configListCommand(), configGraphCommand())
	return config
}

func configRenderCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "render [IMAGE…]", Short: "Print werf.yaml with its templates executed"}
	r := configFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		r.Project.Images = images
		r.render()
		text, err := pipeline.ConfigText(cmd.Context(), r.Project)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return cmd
}

func configListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list [IMAGE…]", Short: "Print the names of images, in the file's order"}
	r := configFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		r.Project.Images = images
		r.render()
		list, err := pipeline.ConfigImages(cmd.Context(), r.Project)
		for _, image := range list {
			fmt.Fprintln(cmd.OutOrStdout(), image.Name)
		}
		return err
	}
	return cmd
}

func configGraphCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "graph [IMAGE…]", Short: "Print what images are made from, as YAML"}
	r := configFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		r.Project.Images = images
		r.render()
		list, err := pipeline.ConfigImages(cmd.Context(), r.Project)
		if err != nil {
			return err
		}
		type dependsOn struct {
			Dependencies []string `yaml:"dependencies,flow"`
		}
		type entry struct {
			Image     string     `yaml:"image"`
			DependsOn *dependsOn `yaml:"dependsOn,omitempty"`
		}
		entries := []entry{}
		for _, image := range list {
			e := entry{Image: image.Name}
			if len(image.Needs) > 0 {
				e.DependsOn = &dependsOn{image.Needs}
			}
			entries = append(entries, e)
		}
		out := yaml.NewEncoder(cmd.OutOrStdout())
		out.SetIndent(2)
		return out.Encode(entries)
	}
	return cmd
}

// configFlags are the flags of commands that read the configuration only.
func configFlags(cmd *cobra.Command) *runFlags {
	r := &runFlags{}
	f := newFlags(cmd)
	r.source(f)
	f.noLog()
	f.boolean(&r.Project.FinalOnly, "final-images-only", "", "Leave out images with final: false")
	return r
}
