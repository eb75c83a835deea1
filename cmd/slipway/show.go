package main

import (
	"errors"
	"fmt"
	"os"

	"slipway/cmd/internal/pipeline"
	"slipway/engine"
	"slipway/engine/progress"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// show runs a verb with its progress on standard error, followed by a summary;
// what it published goes to standard output, a reference to a line.
func (r *runFlags) show(cmd *cobra.Command, verb func(pipeline.Options) (*pipeline.Report, error), o pipeline.Options) error {
	sink, closeSink, err := r.sink()
	if err != nil {
		return err
	}
	o.Sinks = []engine.Sink{sink}
	report, err := verb(o)
	closeSink()
	if report == nil {
		return err // nothing was run
	}
	progress.Summary(os.Stderr, report.Report, "build", "label", "chart", "tag")
	if n := report.Requests; n.Total > 0 {
		fmt.Fprintf(os.Stderr, "%d registry requests, %d of them writes\n", n.Total, n.Writes)
	}
	if err == nil {
		for _, name := range report.Published {
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
	}
	var run *engine.RunError
	if errors.As(err, &run) && run.Cause == nil {
		return &shownError{err} // each cause was shown when it happened
	}
	return err
}

// sink is the one-screen view on a terminal and a plain log everywhere else.
func (r *runFlags) sink() (_ engine.Sink, closeSink func(), _ error) {
	fd := int(os.Stderr.Fd())
	switch r.progress {
	case "auto":
		if term.IsTerminal(fd) && os.Getenv("CI") == "" {
			break
		}
		fallthrough
	case "plain":
		return progress.Plain(os.Stderr), func() {}, nil
	case "tty":
	default:
		return nil, nil, &usageError{fmt.Errorf("--progress %s: it can be auto, plain or tty", r.progress)}
	}
	screen := progress.Terminal(os.Stderr, func() (cols, rows int) {
		cols, rows, err := term.GetSize(fd)
		if err != nil {
			return 80, 24
		}
		return cols, rows
	})
	return screen, screen.Close, nil
}
