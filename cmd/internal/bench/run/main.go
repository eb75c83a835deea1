// Command run runs the benchmarks: see docs/benchmarks.md. It must be run within
// the project's module, whose programs it builds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"slipway/cmd/internal/bench"
	"slipway/cmd/internal/release"
)

func main() {
	bench.Launch()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	if err := mainErr(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

type flags struct {
	pattern, slipway, dir, write, json string
	runs                               int
	list, noPeers, scale               bool
}

func mainErr(ctx context.Context, args []string) error {
	var f flags
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.StringVar(&f.pattern, "run", "", "only what matches this regular expression, as SCENARIO/IMAGES: noop/20$")
	set.IntVar(&f.runs, "runs", 0, "runs of each scenario (default: what each says)")
	set.StringVar(&f.slipway, "slipway", "", "the slipway to measure (default: one built from this checkout)")
	set.StringVar(&f.dir, "dir", "", "where repositories and state are put meanwhile, some gigabytes (default: the system's temporary directory)")
	set.StringVar(&f.write, "write", "", "a document whose results are replaced (default: print them)")
	set.StringVar(&f.json, "json", "", "a file for every sample, as JSON")
	set.BoolVar(&f.list, "list", false, "list the scenarios and what they take, and run nothing")
	set.BoolVar(&f.noPeers, "no-peers", false, "measure slipway alone")
	set.BoolVar(&f.scale, "scale", false, "plan repositories of growing size instead, and plot what that takes beside the document")
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: see -help", set.Arg(0))
	}
	scenarios, err := f.selected()
	if err != nil {
		return err
	}
	if f.list {
		list(scenarios)
		return nil
	}
	tools, err := os.MkdirTemp(f.dir, "slipway-bench-tools-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tools)
	o := bench.Options{Slipway: f.slipway, Runs: f.runs, Dir: f.dir, Log: func(text string) { fmt.Fprintln(os.Stderr, text) }}
	if err := programs(ctx, tools, &o); err != nil {
		return err
	}
	switch {
	case f.scale: // there is nothing to compare
	case f.noPeers:
		o.NoPeer = "left out by -no-peers"
	default:
		peers(ctx, &o)
	}
	header, err := bench.Header(ctx, o, command(args))
	if err != nil {
		return err
	}
	o.Log(fmt.Sprintf("about %s on two quiet cores", bench.Estimate(scenarios...)))
	results, err := bench.Run(ctx, scenarios, o)
	if err != nil {
		// Nothing is written, but what was measured is not lost.
		fmt.Print(bench.WriteTables(scenarios, results))
		return err
	}
	if f.json != "" {
		if err := writeJSON(f.json, results); err != nil {
			return err
		}
	}
	return f.report(header, scenarios, results)
}

// command is how to do the same again.
func command(args []string) string {
	text := "go run ./cmd/internal/bench/run"
	for _, arg := range args {
		if strings.ContainsAny(arg, " ()|$*?[]\\") {
			arg = "'" + arg + "'"
		}
		text += " " + arg
	}
	return text
}

// all are the scenarios that flags speak of.
func (f flags) all() []bench.Scenario {
	if f.scale {
		return bench.Scale
	}
	return bench.Scenarios
}

// report prints results, or puts them into the document. There, what was not run
// is said, too.
func (f flags) report(header string, scenarios []bench.Scenario, results []bench.Result) error {
	if f.write == "" {
		fmt.Print(header, "\n", bench.WriteTables(scenarios, results))
		if f.scale {
			fmt.Print(bench.Growth(scenarios, results))
		}
		return nil
	}
	tables := bench.WriteTables(f.all(), results)
	if !f.scale {
		return bench.Replace(f.write, "results", header+"\n"+tables)
	}
	const plot = "benchmarks-scale.svg"
	if err := os.WriteFile(filepath.Join(filepath.Dir(f.write), plot), []byte(bench.Plot(scenarios, results)), 0o644); err != nil {
		return err
	}
	picture := "![time and memory over the number of images](" + plot + ")\n"
	return bench.Replace(f.write, "scale", header+"\n"+bench.Growth(scenarios, results)+"\n"+picture+"\n"+tables)
}

func writeJSON(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

func (f flags) selected() ([]bench.Scenario, error) {
	re, err := regexp.Compile(f.pattern)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var scenarios []bench.Scenario
	for _, s := range f.all() {
		s = s.Only(func(shape bench.Shape) bool { return re.MatchString(fmt.Sprintf("%s/%d", s.Name, shape.Images)) })
		if len(s.Shapes) > 0 {
			scenarios = append(scenarios, s)
		}
	}
	if len(scenarios) == 0 {
		return nil, fmt.Errorf("-run: no scenario matches %q: see -list", f.pattern)
	}
	return scenarios, nil
}

func list(scenarios []bench.Scenario) {
	for _, s := range scenarios {
		fmt.Printf("%-12s %6s  %s\n", s.Name, bench.Estimate(s), s.Title)
	}
	fmt.Printf("%-12s %6s\n", "all", bench.Estimate(scenarios...))
}

// programs builds what is measured and what images run.
func programs(ctx context.Context, dir string, o *bench.Options) error {
	o.Work = filepath.Join(dir, "work")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.Work, "slipway/cmd/internal/bench/work")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building what images run: %w", err)
	}
	if o.Slipway != "" {
		path, err := filepath.Abs(o.Slipway)
		o.Slipway = path
		return err
	}
	o.Slipway = filepath.Join(dir, "slipway")
	return release.Build(ctx, release.Options{Output: o.Slipway, Version: version(ctx)})
}

// version names the commit that is measured.
func version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "dev"
	}
	return strings.TrimSpace(string(out))
}

// peers finds buildx and buildkitd in PATH, or has Go build those of
// .ci/bench/go.mod and .ci/tools/go.mod.
func peers(ctx context.Context, o *bench.Options) {
	find := func(name, module string) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		// "-n" builds a tool and prints where it is.
		cmd := exec.CommandContext(ctx, "go", "-C", module, "tool", "-n", name)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	o.Log("building the peers, where they are not in PATH")
	var errx, errd error
	o.Buildx, errx = find("buildx", ".ci/bench")
	o.Buildkitd, errd = find("buildkitd", ".ci/tools")
	if err := errors.Join(errx, errd); err != nil {
		o.NoPeer = "buildx and buildkitd are not in PATH and cannot be built"
		o.Buildx, o.Buildkitd = "", ""
		o.Log(o.NoPeer + ": " + err.Error())
	}
	if os.Geteuid() != 0 {
		o.NoPeer = "buildkitd needs root"
		o.Buildx, o.Buildkitd = "", ""
	}
}
