// Command slipway turns a git commit into published images and bundles.
//
// This package is flags and nothing else: one file per verb, each turning its
// flags into an options struct and making one call. It must never decide
// anything about a build.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"slipway/planner/diag"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

// Exit codes.
const (
	exitFailed  = 1 // the run failed
	exitInvalid = 2 // the user's input is wrong
)

func main() {
	started()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:]))
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	understood := false // by cobra, which returns what it does not as plain errors
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var shown *shownError
	if !errors.As(err, &shown) {
		fmt.Fprintln(os.Stderr, "Error:", err)
	}
	var usage *usageError
	if !understood || errors.As(err, &usage) || diag.Is(err) {
		return exitInvalid
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "slipway",
		Short:         "Turn a git commit into published images and bundles",
		Long:          "Slipway reads werf.yaml from a git commit, builds the images that the registry does not hold yet, and publishes images and charts. Nothing has to be installed or kept running.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	bundle := &cobra.Command{Use: "bundle", Short: "Work with bundles: a chart and the images that it names"}
	bundle.AddCommand(
		publishCommand(),
		copyCommand(),
		inspectCommand(),
		verifyCommand(),
		bundleRenderCommand(),
	)
	root.AddCommand(
		buildCommand(),
		exportCommand(),
		bundle,
		renderCommand(),
		stagesCommand(),
		planCommand(),
		configCommand(),
		lockCommand(),
		crCommand(),
		hostCommand(),
		helmCommand(),
		versionCommand(),
	)
	return root
}

// usageError is a command line that cannot be run.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// shownError is an error that the progress has shown already.
type shownError struct{ error }

func (e *shownError) Unwrap() error { return e.error }
