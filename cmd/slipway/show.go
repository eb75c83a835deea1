package main

import (
	"errors"
	"fmt"
	"os"

	"slipway/cmd/internal/pipeline"
	"slipway/engine"
	"slipway/engine/progress"

	"github.com/spf13/cobra"
)

// show runs a verb with its progress on standard error, followed by a summary;
// what it published goes to standard output, a reference to a line.
func (r *runFlags) show(cmd *cobra.Command, verb func(pipeline.Options) (*pipeline.Report, error), o pipeline.Options) error {
	if err := r.log.start(r.Project.Dir); err != nil {
		return err
	}
	sink, closeSink := r.log.sink()
	o.Sinks = []engine.Sink{sink}
	report, err := verb(o)
	closeSink()
	if report == nil {
		return err // nothing was run
	}
	if !r.log.quiet {
		progress.Summary(os.Stderr, report.Report, "build", "copy", "label", "final", "chart", "tag", "record")
	}
	if n := report.Requests; n.Total > 0 && !r.log.quiet {
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
