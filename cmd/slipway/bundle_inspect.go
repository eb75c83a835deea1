package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"slipway/cmd/internal/bundles"
	"slipway/engine"
	"slipway/engine/progress"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

func inspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect BUNDLE",
		Short: "Show a bundle's chart, values and images",
		Long:  "Show what a bundle is: its chart, the values, each image with digest, platforms and size, and what all of it weighs. BUNDLE is HOST/REPO[:TAG], archive:FILE or oci:DIR[:TAG]. Only manifests are read.",
		Args:  cobra.ExactArgs(1),
	}
	f := newFlags(cmd)
	var r runFlags
	output := "text"
	f.StringVarP(&output, "output", "o", output, "Print text or json")
	f.registry(&r)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if output != "text" && output != "json" {
			return &usageError{fmt.Errorf("--output %s: it can be text or json", output)}
		}
		c, err := bundles.Inspect(cmd.Context(), args[0], r.Registry)
		if err != nil {
			return err
		}
		if output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(c)
		}
		return printContents(cmd.OutOrStdout(), c)
	}
	return cmd
}

func printContents(out io.Writer, c *bundles.Contents) error {
	fmt.Fprintf(out, "%s\n", c.Ref)
	if c.Digest != "" {
		fmt.Fprintf(out, "digest   %s\n", c.Digest)
	}
	fmt.Fprintf(out, "chart    %s %s\n", c.Name, c.Version)
	if c.AppVersion != "" {
		fmt.Fprintf(out, "app      %s\n", c.AppVersion)
	}
	fmt.Fprintf(out, "size     %s, of it shared between images %s\n\n", progress.Size(c.Size), progress.Size(c.Shared))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tDIGEST\tSIZE\tPLATFORMS\tREFERENCE")
	for _, i := range c.Images {
		name := i.Name
		if name == "" {
			name = "~"
		}
		if i.Chart != "" {
			name = i.Chart + ": " + name
		}
		if i.Error != "" {
			fmt.Fprintf(w, "%s\tMISSING\t\t\t%s\n", name, i.Ref)
			continue
		}
		var names []string
		for _, p := range i.Platforms {
			names = append(names, p.Platform)
		}
		fmt.Fprintf(w, "%s\t%.19s\t%s\t%s\t%s\n", name, i.Digest, progress.Size(i.Size), strings.Join(names, ","), i.Ref)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	values, err := yaml.Marshal(c.Values)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nvalues:\n  %s\n", strings.ReplaceAll(strings.TrimSpace(string(values)), "\n", "\n  "))
	return err
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Check that a bundle is whole",
		Long:  "Read everything of a bundle: each reference in its chart must resolve, and every blob be there with the right digest. What is wrong is listed, with exit code 1. BUNDLE is HOST/REPO[:TAG], archive:FILE or oci:DIR[:TAG].",
		Args:  cobra.ExactArgs(1),
	}
	f := newFlags(cmd)
	var r runFlags
	f.registry(&r)
	r.log.add(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := r.log.check(); err != nil {
			return err
		}
		sink, closeSink := r.log.sink()
		v, err := bundles.Verify(cmd.Context(), args[0], r.Registry, renderer, []engine.Sink{sink})
		closeSink()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		for _, note := range v.Notes {
			fmt.Fprintln(cmd.ErrOrStderr(), "note: "+note)
		}
		for _, problem := range v.Problems {
			fmt.Fprintln(out, problem)
		}
		if n := len(v.Problems); n > 0 {
			return fmt.Errorf("the bundle %s has %d problems", args[0], n)
		}
		fmt.Fprintf(out, "%s is whole: %d images, %d blobs, %s\n", args[0], v.Images, v.Blobs, progress.Size(v.Bytes))
		return nil
	}
	return cmd
}
