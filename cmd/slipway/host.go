package main

import "github.com/spf13/cobra"

func hostCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "See what this machine can do for builds"}
	cmd.AddCommand(
		hostCheckCommand(),
	)
	return cmd
}
