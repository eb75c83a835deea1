package main

import (
	"errors"
	"fmt"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func lockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock [--update [BASE…] | --check]",
		Short: "Pin base images by digest in werf.lock",
		Long: `Write werf.lock: the digest of every base image that the project's Dockerfiles name, with its ONBUILD triggers.
With the file in the commit, digests enter the keys and builds use exactly those images. Entries that the file has are kept; --update resolves them anew, all or those named.
--check writes nothing and fails if a base has moved or is missing.`,
	}
	f := newFlags(cmd)
	var r runFlags
	var l pipeline.LockOptions
	r.project(f)
	f.BoolVar(&l.Update, "update", false, "Resolve bases anew that the file has: those named, or all")
	f.BoolVar(&l.Check, "check", false, "Compare the file with the registries, write nothing, and fail if they differ")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if l.Names = names; len(names) > 0 && !l.Update {
			return &usageError{errors.New("bases can be named with --update only")}
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
			return errors.New("werf.lock is not what registries say; run slipway lock --update")
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
