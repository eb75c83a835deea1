package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"slipway/engine"
	"slipway/engine/progress"

	"golang.org/x/term"
)

// logFlags say how progress is shown, on standard error.
type logFlags struct {
	progress              string
	quiet, verbose, debug bool
	pretty, time          bool
	timeFormat            string
	color                 string
	width                 int
	projectDir            bool
}

func (l *logFlags) add(f *flags) {
	l.progress, l.pretty, l.timeFormat, l.color = "auto", true, time.RFC3339, "auto"
	f.StringVar(&l.progress, "progress", l.progress, "How progress is shown: auto, plain or tty")
	f.boolean(&l.quiet, "log-quiet", "", "Show only what fails, with the end of its output; wins over --log-verbose and --log-debug")
	f.boolean(&l.verbose, "log-verbose", "", "Show what was looked up, too, in a plain log")
	f.boolean(&l.debug, "log-debug", "", "As --log-verbose, and print every byte that enters each key first, as slipway plan --explain does")
	f.boolean(&l.pretty, "log-pretty", "", "Show progress in place where standard error is a terminal; false is a plain log")
	f.boolean(&l.time, "log-time", "", "Show a plain log with the time before each line")
	f.str(&l.timeFormat, "log-time-format", "How --log-time writes the time, as a layout of Go's package time")
	f.str(&l.color, "log-color-mode", "auto, on or off; nothing is shown in colour, so all are the same")
	f.IntVar(&l.width, "log-terminal-width", 0, "Columns to use on a terminal (default: as many as it has)")
	f.reads("log-terminal-width", variableOf("log-terminal-width"))
	f.boolean(&l.projectDir, "log-project-dir", "", "Show the project's directory first")
}

// check refuses values that are none.
func (l *logFlags) check() error {
	plain := l.verbose || l.debug || l.time || !l.pretty
	switch {
	case l.progress == "":
		return nil // a command without progress
	case !slices.Contains([]string{"auto", "plain", "tty"}, l.progress):
		return &usageError{fmt.Errorf("--progress %s: it can be auto, plain or tty", l.progress)}
	case !slices.Contains([]string{"auto", "on", "off"}, l.color):
		return &usageError{fmt.Errorf("--log-color-mode %s: it can be auto, on or off", l.color)}
	case l.progress == "tty" && plain && !l.quiet:
		return &usageError{errors.New("--progress tty has no place for what --log-verbose, --log-debug and --log-time show, and excludes --log-pretty=false")}
	case l.progress == "auto" && plain:
		l.progress = "plain"
	}
	return nil
}

// explain is where the bytes of keys are printed to, nil if nowhere.
func (l *logFlags) explain() io.Writer {
	if l.debug && !l.quiet {
		return os.Stderr
	}
	return nil
}

// start shows what comes before all progress.
func (l *logFlags) start(dir string) error {
	if !l.projectDir {
		return nil
	}
	dir, err := filepath.Abs(cmp.Or(dir, "."))
	if err == nil {
		_, err = fmt.Fprintln(os.Stderr, "Project directory:", dir)
	}
	return err
}

// sink is the one-screen view on a terminal and a plain log everywhere else.
func (l *logFlags) sink() (_ engine.Sink, closeSink func()) {
	fd := int(os.Stderr.Fd())
	onScreen := l.progress == "tty" || l.progress == "auto" && term.IsTerminal(fd) && os.Getenv("CI") == ""
	switch {
	case l.quiet:
		return progress.Failures(os.Stderr), func() {}
	case !onScreen:
		log := progress.Plain(os.Stderr)
		log.Lookups = l.verbose || l.debug
		if l.time {
			log.TimeFormat = l.timeFormat
		}
		return log, func() {}
	}
	screen := progress.Terminal(os.Stderr, func() (cols, rows int) {
		cols, rows, err := term.GetSize(fd)
		if err != nil {
			cols, rows = 80, 24
		}
		if l.width > 0 {
			cols = l.width
		}
		return cols, rows
	})
	return screen, screen.Close
}
