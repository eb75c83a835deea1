package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"slipway/cmd/internal/pipeline"
	"slipway/engine/progress"
	"slipway/stages/buildkit/state"

	"github.com/spf13/cobra"
)

func hostCommand() *cobra.Command {
	host := &cobra.Command{Use: "host", Short: "See what this machine can do for builds, and what they keep on it"}
	host.AddCommand(
		hostCheckCommand(),
		usageCommand(),
		pruneCommand(),
	)
	return host
}

func usageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show what is kept on this machine, what it takes, and which runs use it",
		Args:  cobra.NoArgs,
	}
	var output string
	newFlags(cmd).StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "text" && output != "json" {
			return &usageError{fmt.Errorf("--output %s: it can be text or json", output)}
		}
		dir, items, err := pipeline.HostUsage(cmd.Context())
		if err != nil {
			return err
		}
		if output == "json" {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(map[string]any{"directory": dir, "items": items})
		}
		return printUsage(cmd.OutOrStdout(), dir, items)
	}
	return cmd
}

func printUsage(w io.Writer, dir string, items []state.Item) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tSIZE\tLAST USED\tIN USE BY\tPLACE")
	var total int64
	for _, i := range items {
		size, user := progress.Size(i.Size), "-"
		if i.Incomplete {
			size = "at least " + size
		}
		switch {
		case i.PID > 0:
			user = "process " + strconv.Itoa(i.PID)
		case i.PID < 0:
			user = "a process"
		}
		place, err := filepath.Rel(dir, i.Path)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", i.Kind, size, i.Used.Format(time.DateTime), user, place)
		total += i.Size
	}
	fmt.Fprintf(t, "total\t%s\t\t\t%s\n", progress.Size(total), dir)
	return t.Flush()
}

func pruneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Free what earlier builds have left on this machine",
		Long: `Bring what builds have left on this machine within its limit, as every run that builds something does at
its end. What is published, or kept in a repository, stays. What runs use at this moment is left alone.`,
		Args: cobra.NoArgs,
	}
	f := newFlags(cmd)
	var keep, limit, olderThan string
	var k state.Keep
	f.StringVar(&keep, "keep", "", "Keep this much, as 20GB, 1.5GiB, or 25% of the disk (default: --local-cache-limit)")
	f.localCacheLimit(&limit)
	f.BoolVar(&k.None, "all", false, "Keep nothing")
	f.StringVar(&olderThan, "older-than", "", "Also free what was not used for so long: 12h, 7d")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if k.None && (keep != "" || olderThan != "") {
			return &usageError{errors.New("--all keeps nothing: leave out --keep and --older-than")}
		}
		if k.Limit, err = sizeFlag("local-cache-limit", limit); err != nil {
			return err
		}
		if keep != "" {
			if k.Limit, err = sizeFlag("keep", keep); err != nil {
				return err
			}
		}
		if k.OlderThan, err = ageFlag("older-than", olderThan); err != nil {
			return err
		}
		c, err := pipeline.HostPrune(cmd.Context(), buildkit, k)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Freed %s, kept %s.\n", progress.Size(c.Before-c.After), progress.Size(c.After))
		if c.InUse > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "Left alone what others use: slipway host usage shows it.\n")
		}
		return nil
	}
	return cmd
}

func (f *flags) localCacheLimit(p *string) {
	f.str(p, "local-cache-limit", "What builds may leave on this machine, as 20GB, 1.5GiB, or 25% of the disk (default: 80%, 100GB at most, and 20% of the disk free)")
}

// sizeFlag reads a flag's size; empty is the default.
func sizeFlag(name, value string) (state.Limit, error) {
	if value == "" {
		return state.Limit{}, nil
	}
	limit, err := state.ParseLimit(value)
	if err != nil {
		return limit, &usageError{fmt.Errorf("--%s: %w", name, err)}
	}
	return limit, nil
}

// ageFlag reads a flag's duration, which may be in days; empty is 0.
func ageFlag(name, value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	age, err := time.ParseDuration(value)
	if days, ok := strings.CutSuffix(value, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || age <= 0 {
		return 0, &usageError{fmt.Errorf("--%s %s: write a time as 12h or 7d", name, value)}
	}
	return age, nil
}
