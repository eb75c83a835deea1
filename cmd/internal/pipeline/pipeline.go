// Package pipeline joins the parts: it plans a project, turns the plan into a
// graph of stages, and runs it. One function per verb of the program.
//
// It must never know flags or environment variables, nor how any stage does its
// work: it decides which stages there are and what needs what.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"slipway/engine"
	"slipway/oci"
	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
	"slipway/stages/chart/render"

	"golang.org/x/sync/semaphore"
)

// Options are what every verb takes. The zero value works on the project in the
// current directory and its own layout below the state directory.
type Options struct {
	Project planner.Options
	Repo    string // where images are kept; "" is the project's own layout
	// FinalRepo is where final images are used from: they are copied there. "" is
	// Repo.
	FinalRepo string
	// SecondaryRepos may have images, too: what is found there is copied to Repo and
	// not built. They are only read.
	SecondaryRepos []string
	Cache          CacheOptions
	Registry       oci.Options
	// Parallel is how many builds run at once; 0 means DefaultParallel.
	Parallel int
	// RequireBuilt makes a missing image an error instead of a build.
	RequireBuilt bool
	BuildReport  BuildReportOptions
	// TrustPlan takes the images from the plan record where there is one, and asks
	// for none of them; where there is none, it is written.
	TrustPlan bool
	// Network is how RUNs reach the network, default, none or host, whatever
	// werf.yaml says; "" leaves it to that.
	Network string
	// SSHKeys are files of private keys that RUNs may use as the ssh agent named
	// default.
	SSHKeys []string
	// CacheMounts is where the cache mounts of RUNs are kept: "" or LocalCacheMounts
	// is BuildKit's state, NoCacheMounts nowhere, all else a directory.
	CacheMounts string
	// Allow is what RUNs may do beside what is harmless: AllowHostNetwork,
	// AllowInsecure.
	Allow []string
	// Builders are addresses of BuildKits that build instead of this machine, see
	// remote.ParseAddress.
	Builders []string
	// StateDir is where layouts and BuildKit's state are; "" is the XDG state
	// directory.
	StateDir string
	// LocalCacheLimit is how much BuildKit's state on this machine may take.
	LocalCacheLimit state.Limit
	Sinks           []engine.Sink
	// Renderer renders charts and checks values against schemas.
	Renderer render.Program
	// BuildKit calls Main of package worker, see embedded.Options.
	BuildKit host.Program

	ahead bool // see lookAhead
}

// DefaultParallel is the reference's default of --parallel-tasks-limit.
const DefaultParallel = 5

// run is one execution of a verb.
type run struct {
	options Options
	plan    *planner.Plan
	session *oci.Session
	stop    context.CancelFunc // ends what lookAhead has begun
	bases   *bases
	repo    oci.Repository
	final   oci.Repository   // nil if images are used from repo
	others  []oci.Repository // that may have images, too
	cache   *layers          // nil if there is none
	solver  solver
	turns   *stages.Turns // nil where nothing is built
	copies  *semaphore.Weighted
	report  string // the build report's file

	floating sync.Once
	warned   sync.Map                        // dockerfile.Warning -> true: each is told once
	nodes    map[engine.Key]*engine.Node     // one per key: what is the same is made once
	copied   map[*planner.Image]*engine.Node // to the final repository
	barrier  *engine.Node                    // needs all that must be there before an alias moves
}

// open plans the project and opens its repository; nothing is asked of a
// registry yet but what lookAhead asks.
func open(ctx context.Context, o Options) (_ *run, err error) {
	if o.StateDir == "" {
		dir, err := StateDir()
		if err != nil {
			return nil, err
		}
		o.StateDir = dir
	}
	o.Registry.TokenDir = tokenDir(o.StateDir)
	session, err := oci.NewSession(o.Registry)
	if err != nil {
		return nil, &diag.Diagnostic{Message: err.Error()}
	}
	if o.CacheMounts, err = cacheMountsOf(o.CacheMounts); err != nil {
		return nil, err
	}
	if err := checkHow(o); err != nil {
		return nil, err
	}
	if o.TrustPlan && o.BuildReport.Use {
		return nil, &diag.Diagnostic{Message: "--trust-plan and --use-build-report exclude each other: the images are taken from the one or from the other", Advice: "leave one of them out"}
	}
	builders, err := solverOf(o, session)
	if err != nil {
		return nil, err
	}
	report, err := o.BuildReport.path()
	if err != nil && (o.BuildReport.Save || o.BuildReport.Use) {
		return nil, err
	}
	// The default is there from runs before this one, too.
	o.Project.Outputs = append(o.Project.Outputs, DefaultBuildReport, report)
	o.Project.DevState = filepath.Join(o.StateDir, "dev")
	b := &bases{session: session}
	o.Project.Bases = b
	if ref, err := oci.ParseReference(o.Repo); err == nil && !ref.IsLayout() {
		o.Project.RepoName = ref.Name()
	}
	o.Sinks = []engine.Sink{&serial{sinks: o.Sinks}}
	beside, stop := context.WithCancel(ctx)
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if o.ahead {
		o.lookAhead(beside, session)
	}
	plan, err := planner.Load(ctx, o.Project)
	if err != nil {
		return nil, err
	}
	r := &run{
		options: o, plan: plan, session: session, stop: stop, bases: b, report: report, copies: semaphore.NewWeighted(DefaultParallel),
		nodes: map[engine.Key]*engine.Node{}, copied: map[*planner.Image]*engine.Node{},
	}
	r.barrier = &engine.Node{ID: "barrier", Stage: stages.Barrier{}}
	r.solver = builders
	if !o.RequireBuilt {
		r.turns = turns(o.StateDir)
	}
	if r.repo, err = r.repository("--repo", o.Repo); err == nil && o.FinalRepo != "" {
		if r.final, err = r.repository("--final-repo", o.FinalRepo); r.final == r.repo {
			r.final = nil
		}
	}
	for _, name := range o.SecondaryRepos {
		repo, openErr := r.repository("--secondary-repo", name)
		if err = cmp.Or(err, openErr); openErr == nil && repo != r.repo && !slices.Contains(r.others, repo) {
			r.others = append(r.others, repo)
		}
	}
	if err == nil {
		r.cache, err = newLayers(r)
	}
	if err == nil {
		err = r.prepareReport()
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// prepareReport reads the build report that is to be used, or sees to it that one
// can be written.
func (r *run) prepareReport() error {
	switch o := r.options.BuildReport; {
	case o.Use:
		return r.useReport()
	case o.Save && filepath.Ext(r.report) == ".env":
		return checkReportNames(r.plan.Images)
	}
	return nil
}

// close ends what the run started: BuildKit and git.
func (r *run) close() error {
	r.stop()
	return errors.Join(r.solver.Close(), r.plan.Close())
}

// repository opens the place that a flag names.
func (r *run) repository(flag, name string) (oci.Repository, error) {
	if name == "" && flag != "--repo" {
		return nil, &diag.Diagnostic{Message: flag + " has no value", Advice: "write HOST/NAME, or leave it out"}
	}
	if name == "" {
		name = "oci:" + filepath.Join(r.options.StateDir, "repos", r.plan.Project)
	}
	ref, err := oci.ParseReference(name)
	if err != nil {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("%s: %v", flag, err)}
	}
	if ref.Tag != "" || ref.Digest != "" {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("%s %s: a repository has no tag", flag, name), Advice: "write " + ref.Name()}
	}
	return r.session.Repository(ref)
}

// execute runs the graph behind goals.
func (r *run) execute(ctx context.Context, goals []*engine.Node) (*Report, error) {
	parallel := r.options.Parallel
	if parallel == 0 {
		parallel = DefaultParallel
	}
	save := r.options.BuildReport.Save && !r.options.BuildReport.Use
	if save { // what is under a goal that is there is not looked at
		for _, image := range r.plan.Images {
			goals = append(goals, r.image(image))
		}
	}
	if r.options.TrustPlan {
		goals = append(goals, r.trust(goals)...)
	}
	report, err := engine.Run(ctx, goals, engine.Options{
		// All but builds is requests; what moves bytes bounds itself.
		Parallel: engine.DefaultLookups,
		Limits:   map[string]int{"build": parallel},
		Sinks:    r.options.Sinks,
	})
	if err == nil && save {
		err = r.saveReport(ctx, report)
	}
	r.cache.wait()
	return &Report{Report: report, Requests: r.session.Requests()}, err
}

// checkAlias refuses a flag's tag that is shaped like a key or a plan record in a
// repository of keys: it could move one, and a key tag is written once.
func (r *run) checkAlias(flag string, repo oci.Repository, tag string) error {
	if repo != r.repo && repo != r.final {
		return nil
	}
	const advice = "choose another tag, or another repository"
	if stages.IsRecordTag(tag) {
		return &diag.Diagnostic{Message: fmt.Sprintf("%s %s: a tag of this shape is a plan record in %s", flag, tag, repo.Reference()), Advice: advice}
	}
	if keyTag.MatchString(tag) {
		return &diag.Diagnostic{Message: fmt.Sprintf("%s %s: a tag of 64 hexadecimal digits is a key in %s, and keys do not move", flag, tag, repo.Reference()),
			Advice: advice}
	}
	return nil
}

var keyTag = regexp.MustCompile("^[0-9a-f]{64}$")

// Report is what a run did, and what it asked of registries.
type Report struct {
	*engine.Report
	Requests oci.Stats
	// Published are the names that people can use now, in the order of the plan.
	Published []string
}

// StateDir is where state is kept: $XDG_STATE_HOME/slipway (XDG Base Directory Specification 0.8).
func StateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "slipway"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the state directory: %w; set XDG_STATE_HOME", err)
	}
	return filepath.Join(home, ".local", "state", "slipway"), nil
}

// TokenDir is where bearer tokens are kept, for verbs that need no other state; "",
// which is nowhere, if there is no place for state.
func TokenDir() string {
	dir, err := StateDir()
	if err != nil {
		return ""
	}
	return tokenDir(dir)
}

func tokenDir(stateDir string) string { return filepath.Join(stateDir, "tokens") }
