package main

import (
	"fmt"
	"strings"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [IMAGE…] --tag REF…",
		Short: "Publish images under names of your choice",
		Long: `Publish the final images of werf.yaml (all, or those named) under every --tag, building what is missing.
Nothing is published before all images are there. A tag may hold
  %image%                    the image's name
  %image_slug%               its name as a slug
  %image_safe_slug%          its name, or its slug where the name is no valid tag
  %image_content_based_tag%  its key`,
		Example: "  slipway export myapp --repo example.org/myproject --tag other.example.org/myproject/myapp:latest",
	}
	f := newFlags(cmd)
	var r runFlags
	var e pipeline.ExportOptions
	var labels []string
	separator := "\n"
	r.project(f)
	r.running(f)
	r.trusts(f)
	r.saves(f)
	r.uses(f)
	f.finalOnly(&r, true)
	f.list(&e.Tags, "tag", "WERF_TAG", "Publish under this name, HOST/NAME:TAG or oci:DIR:TAG; repeatable")
	f.list(&labels, "add-label", "WERF_EXPORT_ADD_LABEL", "Add NAME=VALUE to the labels of the published images; repeatable")
	f.StringVar(&separator, "add-label-separator", separator, "What separates several labels in one --add-label (default: a line break)")
	f.reads("add-label-separator", "WERF_EXPORT_ADD_LABEL_SEPARATOR")
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		o, err := r.options(images)
		if err != nil {
			return err
		}
		if e.Labels, err = parsePairs("add-label", labels, separator); err != nil {
			return err
		}
		return r.show(cmd, func(o pipeline.Options) (*pipeline.Report, error) {
			return pipeline.Export(cmd.Context(), o, e)
		}, o)
	}
	return cmd
}

// parsePairs reads the NAME=VALUE pairs of a flag, several to one if separated.
func parsePairs(flag string, given []string, separator string) (map[string]string, error) {
	labels := map[string]string{}
	for _, list := range given {
		pairs := []string{list}
		if separator != "" {
			pairs = strings.Split(list, separator)
		}
		for _, pair := range pairs {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, ok := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); !ok || name == "" {
				return nil, &usageError{fmt.Errorf("--%s %q: write NAME=VALUE", flag, pair)}
			}
			labels[name] = value
		}
	}
	return labels, nil
}
