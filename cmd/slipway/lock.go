package main

import (
	"errors"
	"fmt"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func lockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock [--update [NAME…] | --check]",
		Short: "Pin base images and remote files in werf.lock",
		Long: `Write werf.lock: the digest of every base image that the project's Dockerfiles name, with its ONBUILD triggers; of every file that an ADD downloads, the checksum; of every git repository that an ADD fetches, the commit.
With the file in the commit, these enter the keys and builds use exactly them. Entries that the file has are kept; --update resolves them anew, all or those named: images by name, remotes by URL.
--check writes nothing and fails if something has moved or is missing.`,
	}
	f := newFlags(cmd)
	var r runFlags
	var l pipeline.LockOptions
	r.project(f)
	f.BoolVar(&l.Update, "update", false, "Resolve anew what the file has: what is named, or all")
	f.BoolVar(&l.Check, "check", false, "Compare the file with what names stand for now, write nothing, and fail if they differ")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if l.Names = names; len(names) > 0 && !l.Update {
			return &usageError{errors.New("names can be given with --update only")}
		}
		if l.Check && l.Update {
			return &usageError{errors.New("--check and --update exclude each other")}
		}
		o, err := r.options(nil)
		if err != nil {
			return err
		}
		changes, err := pipeline.Lock(cmd.Context(), o, l)
		if err != nil {
			return err
		}
		for _, c := range changes {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s -> %s\n", c.Name, orNothing(c.Old), orNothing(c.New))
		}
		if l.Check && len(changes) > 0 {
			return errors.New("werf.lock is not what its names stand for now; run slipway lock --update")
		}
		return nil
	}
	return cmd
}

func orNothing(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}
