package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [IMAGE…]",
		Short: "Show what the planner decided, asking no registry and building nothing",
		Long:  "Show the images of werf.yaml (all, or those named) with the key that each has at this commit. The key is a hash of everything that can change the image and of nothing else; docs/keys.md says what that is.",
	}
	f := newFlags(cmd)
	var r runFlags
	var output string
	var explain bool
	r.project(f)
	f.StringVar(&output, "output", "text", "text or json")
	f.BoolVar(&explain, "explain", false, "Also print every byte that enters each key, on standard error")
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		o, err := r.options(images)
		if err != nil {
			return err
		}
		if output != "text" && output != "json" {
			return &usageError{fmt.Errorf("--output %s: it can be text or json", output)}
		}
		if explain {
			o.Project.KeyTrace = os.Stderr
		}
		doc, err := pipeline.Plan(cmd.Context(), o)
		if err != nil {
			return err
		}
		if output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(doc)
		}
		return printPlan(cmd.OutOrStdout(), doc)
	}
	return cmd
}

func printPlan(w io.Writer, doc *pipeline.PlanDocument) error {
	fmt.Fprintf(w, "project %s, repository %s\n", doc.Project, doc.Repo)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tPLATFORM\tKEY\tFROM")
	for _, image := range doc.Images {
		name := image.Name
		if !image.Final {
			name += " (not final)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, image.Platform, image.Key, strings.Join(image.Bases, ", "))
	}
	return t.Flush()
}
