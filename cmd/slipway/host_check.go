package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"slipway/cmd/internal/pipeline"
	"slipway/stages/buildkit/host"

	"github.com/spf13/cobra"
)

func hostCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Show what builds can use on this machine, and how to get what is missing",
		Long: "Show what builds can use on this machine, what does not work without it, and how to get it. It is found out in the way in which a build does it, as the user who runs it. " +
			"The exit code is 0 if images can be built here; what is limited keeps nothing from being built, only slower or not for all platforms.",
		Args: cobra.NoArgs,
	}
	f := newFlags(cmd)
	output := "text"
	f.StringVarP(&output, "output", "o", output, "Print text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "text" && output != "json" {
			return &usageError{fmt.Errorf("--output %s: it can be text or json", output)}
		}
		dir, err := pipeline.StateDir()
		if err != nil {
			return err
		}
		r, err := host.Inspect(cmd.Context(), dir)
		if err != nil {
			return err
		}
		if output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			err = e.Encode(r)
		} else {
			err = printChecks(cmd.OutOrStdout(), r)
		}
		if err == nil && !r.Builds {
			err = errors.New("images cannot be built on this machine: see what is missing")
		}
		return err
	}
	return cmd
}

func printChecks(out io.Writer, r *host.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Status, strings.TrimSpace(c.Found))
		if c.Affects != "" {
			fmt.Fprintf(w, "\t\taffects: %s\n", c.Affects)
		}
		for line := range strings.Lines(c.Fix) {
			fmt.Fprintf(w, "\t\t%s\n", strings.TrimSpace(line))
		}
	}
	return w.Flush()
}
