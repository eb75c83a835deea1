package bench

import (
	"slices"
	"time"
)

// Scenario is one question, asked of repositories of several shapes.
type Scenario struct {
	Name  string // of flags
	Title string // of documents
	About string // what was done, one sentence or two
	// Shapes are what is measured; a row of results each, per side.
	Shapes []Shape
	Runs   int  // that count, of each side
	Warm   bool // a first run does not count
	Link   Link
	Change Change // before each run
	// Empty gives each run an empty registry; else each side has built the commit
	// before, apart from the change.
	Empty bool
	// Seeded puts a small image under every key instead of building: to a run that
	// builds nothing it is the same.
	Seeded bool
	Sides  []Side
	// Targets are for the first side, one for each shape, where there are any.
	Targets []Target
	// Estimate is what a shape takes on two quiet cores, all runs, and what must be
	// prepared for them.
	Estimate []time.Duration
}

// Only is the scenario with some of its shapes.
func (s Scenario) Only(want func(Shape) bool) Scenario {
	o := s
	o.Shapes, o.Targets, o.Estimate = nil, nil, nil
	for i, shape := range s.Shapes {
		if !want(shape) {
			continue
		}
		o.Shapes, o.Estimate = append(o.Shapes, shape), append(o.Estimate, s.Estimate[i])
		if i < len(s.Targets) {
			o.Targets = append(o.Targets, s.Targets[i])
		}
	}
	return o
}

// Change is what happens in the repository before a run.
type Change int

// Changes.
const (
	Nothing     Change = iota
	Unrelated          // a commit that no image reads
	OneFile            // a commit with one file of one image
	Uncommitted        // one file of one image, the same change before all runs
)

// Side is a tool that is run in a scenario. The first side is the one that is
// judged, the second what it is compared with.
type Side struct {
	Name string // in results
	Tool Tool
	Args []string // of slipway; $REGISTRY is the registry's host
	// Local leaves out the repository.
	Local bool
	// Cache is the layer cache in the registry, of bake.
	Cache bool
	// Fresh is a new machine for each run; else one has been kept since the commit
	// was built.
	Fresh bool
}

// Tool says how a side is run.
type Tool int

// Tools.
const (
	Slipway Tool = iota
	Bake         // docker buildx bake with a buildkitd
	Buildx       // buildx alone
)

// Target is what a median may be at most; 0 is no target.
type Target struct {
	Wall     time.Duration
	Distance time.Duration // of Wall: what the way to the registry may add, which no machine makes shorter
	Above    time.Duration // more than the row of the first shape
	Ratio    float64       // of the second side's wall time
	RSS      int64         // bytes
	Requests int
	ReadOnly bool // no writes
}

const mib = 1 << 20

// plain are the sizes of the table in the issue: trivial Dockerfiles with 20
// files each.
func plain(images ...int) []Shape {
	shapes := make([]Shape, len(images))
	for i, n := range images {
		shapes[i] = Shape{Images: n, Files: 20 * n}
	}
	return shapes
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func seconds(n ...int) []time.Duration {
	d := make([]time.Duration, len(n))
	for i := range n {
		d[i] = time.Duration(n[i]) * time.Second
	}
	return d
}

// nearby is what a run over 100 images with nothing to do may take, its registry on
// loopback. What it may take more with one that is far away is the way there.
const nearby = 120 * time.Millisecond

// noop are the targets of a run with nothing to do.
func noop(wall ...time.Duration) []Target {
	all := []Target{
		{RSS: 50 * mib, Requests: 22, ReadOnly: true},
		{RSS: 60 * mib, Requests: 102, ReadOnly: true},
		{RSS: 150 * mib, Requests: 1002, ReadOnly: true},
	}[:len(wall)]
	for i := range all {
		all[i].Wall = wall[i]
	}
	return all
}

var (
	build  = []string{"build"}
	export = []string{"export", "--tag", "$REGISTRY/published/%image%:v1"}
	bundle = []string{"bundle", "publish", "--tag", "1.0.0"}
	far    = Link{RTT: ms(30), Bearer: true}
	// large is a repository of the size that some companies have.
	large = Shape{Images: 20, Files: 57_000, Bytes: 780 * mib}
)

// Scenarios are all there are, in the order of documents. A repository is made
// once for each shape, and what has been built for one scenario serves the next.
var Scenarios = slices.Concat(idle, changes, []Scenario{startUp})

var idle = []Scenario{{
	Name: "noop", Title: "Nothing to do: the same commit, a machine with its state",
	About:  "`slipway build` where all is built, and bake with the buildkitd that built it.",
	Shapes: plain(20, 100), Runs: 5, Warm: true,
	Sides:    []Side{{Name: "slipway", Args: build}, {Name: "bake", Tool: Bake}},
	Targets:  noop(ms(60), nearby),
	Estimate: seconds(25, 80),
}, {
	Name: "noop-fresh", Title: "Nothing to do: a fresh machine",
	About:  "Every run has a new home directory, and a new buildkitd, which finds the layers in its cache in the registry.",
	Shapes: plain(20, 100), Runs: 3, Warm: true,
	Sides:    []Side{{Name: "slipway", Args: build, Fresh: true}, {Name: "bake", Tool: Bake, Cache: true, Fresh: true}},
	Targets:  noop(ms(60), nearby),
	Estimate: seconds(20, 75),
}, {
	Name: "noop-commit", Title: "Nothing to do: a new commit that changes no image",
	Shapes: plain(20, 100), Runs: 5, Warm: true, Change: Unrelated,
	Sides:    []Side{{Name: "slipway", Args: build}},
	Targets:  noop(ms(60), nearby),
	Estimate: seconds(2, 3),
}, {
	Name: "noop-1000", Title: "Nothing to do: a thousand images, a fresh machine",
	About:  "The registry has a small image under each key, which is all that such a run asks for.",
	Shapes: plain(1000), Runs: 5, Warm: true, Seeded: true,
	Sides:    []Side{{Name: "slipway", Args: build, Fresh: true}},
	Targets:  []Target{noop(0, 0, ms(800))[2]},
	Estimate: seconds(20),
}, {
	Name: "far-cold", Title: "Nothing to do: the registry 30 ms away, no token yet",
	Shapes: plain(20, 100), Runs: 5, Warm: true, Link: far,
	Sides:    []Side{{Name: "slipway", Args: build, Fresh: true}},
	Targets:  []Target{{}, {Wall: ms(350), Distance: ms(350) - nearby}},
	Estimate: seconds(10, 25),
}, {
	Name: "far-warm", Title: "Nothing to do: the registry 30 ms away, a machine with its state",
	About:  "The token that the run before was given is still good.",
	Shapes: plain(20, 100), Runs: 5, Warm: true, Link: far,
	Sides:    []Side{{Name: "slipway", Args: build}},
	Targets:  []Target{{}, {Wall: ms(200), Distance: ms(200) - nearby}},
	Estimate: seconds(4, 8),
}, {
	Name: "far-bake", Title: "Nothing to do: the registry 30 ms away, beside bake",
	Shapes: plain(20), Runs: 3, Warm: true, Link: far,
	Sides:    []Side{{Name: "slipway", Args: build}, {Name: "bake", Tool: Bake}},
	Estimate: seconds(30),
}, {
	Name: "trusted", Title: "Nothing to do: the registry 30 ms away, `--trust-plan`",
	About:  "The plan record answers for all images.",
	Shapes: plain(100), Runs: 5, Warm: true, Link: far,
	Sides:    []Side{{Name: "slipway", Args: slices.Concat(build, []string{"--trust-plan"})}},
	Targets:  []Target{{Requests: 1, ReadOnly: true}},
	Estimate: seconds(5),
}, {
	Name: "bundle", Title: "`bundle publish` with nothing to do, a new commit that changes nothing in it",
	Shapes: plain(20, 100), Runs: 5, Warm: true, Change: Unrelated,
	Sides:    []Side{{Name: "slipway", Args: bundle}},
	Targets:  []Target{{Wall: ms(70), ReadOnly: true}, {Wall: ms(150), ReadOnly: true}},
	Estimate: seconds(2, 3),
}, {
	Name: "bundle-1000", Title: "`bundle publish` with nothing to do, a thousand images, a fresh machine",
	Shapes: plain(1000), Runs: 5, Warm: true, Seeded: true,
	Sides:    []Side{{Name: "slipway", Args: bundle, Fresh: true}},
	Targets:  []Target{{Wall: ms(1000), ReadOnly: true}},
	Estimate: seconds(20),
}, {
	Name: "export", Title: "`export` with nothing to do, a fresh machine",
	Shapes: plain(20, 100), Runs: 5, Warm: true,
	Sides:    []Side{{Name: "slipway", Args: export, Fresh: true}},
	Targets:  []Target{{ReadOnly: true}, {ReadOnly: true}},
	Estimate: seconds(4, 10),
}, {
	Name: "plan", Title: "`plan`, without a registry",
	Shapes: plain(20, 100, 1000), Runs: 5, Warm: true,
	Sides:    []Side{{Name: "slipway", Args: []string{"plan"}, Local: true}},
	Targets:  []Target{{Wall: ms(40)}, {Wall: ms(80)}, {Wall: ms(500)}},
	Estimate: seconds(1, 1, 4),
}}

var changes = []Scenario{{
	Name: "change", Title: "One file changed: a fresh machine with the registry's layer cache",
	About:  "One file of one image is another in each run's commit.",
	Shapes: plain(20, 100), Runs: 3, Change: OneFile,
	Sides: []Side{
		{Name: "slipway", Args: build, Fresh: true},
		{Name: "bake", Tool: Bake, Cache: true, Fresh: true},
	},
	Targets:  []Target{{Ratio: 0.5}, {Ratio: 0.3}},
	Estimate: seconds(20, 60),
}, {
	Name: "layers", Title: "One file changed: ten images with dear layers, a fresh machine",
	About:  "Each image has a RUN that is dear, then a COPY of what changes, then a RUN over it. *RUNs* is how many were run: one is right.",
	Shapes: []Shape{{Images: 10, Files: 200, Layered: true}}, Runs: 5, Change: OneFile,
	Sides: []Side{
		{Name: "slipway", Args: build, Fresh: true},
		{Name: "bake", Tool: Bake, Cache: true, Fresh: true},
	},
	Estimate: seconds(60),
}, {
	Name: "first", Title: "First build, no layer cache",
	About:  "Into an empty registry, on a fresh machine; *bake* is what bare BuildKit takes for the same Dockerfiles, its daemon already started.",
	Shapes: plain(20, 100), Runs: 3, Empty: true,
	Sides: []Side{
		{Name: "slipway", Args: []string{"build", "--cache", "off"}, Fresh: true},
		{Name: "bake", Tool: Bake, Fresh: true},
	},
	Targets:  []Target{{Ratio: 1.1}, {Ratio: 1.1}},
	Estimate: seconds(30, 110),
}, {
	Name: "first-cache", Title: "First build, the layer cache exported to the registry",
	Shapes: plain(20), Runs: 3, Empty: true,
	Sides: []Side{
		{Name: "slipway", Args: build, Fresh: true},
		{Name: "bake", Tool: Bake, Cache: true, Fresh: true},
	},
	Estimate: seconds(40),
}, {
	Name: "large", Title: "Nothing to do: a large repository",
	About:  "The same number of images, all of whose files are in a build context; the first row is what the second is judged by.",
	Shapes: []Shape{plain(20)[0], large}, Runs: 5, Warm: true, Seeded: true,
	Sides:    []Side{{Name: "slipway", Args: build, Fresh: true}},
	Targets:  []Target{{}, {Above: ms(100)}},
	Estimate: seconds(3, 60),
}, {
	Name: "dev", Title: "`build --dev` in a large repository, the second run",
	About:  "One file is changed and not committed; the first run builds its image, and the runs after it are measured.",
	Shapes: []Shape{large}, Runs: 5, Seeded: true, Change: Uncommitted,
	Sides:    []Side{{Name: "slipway", Args: []string{"build", "--dev"}}},
	Targets:  []Target{{Wall: ms(300)}},
	Estimate: seconds(20),
}}

var startUp = Scenario{
	Name: "start", Title: "Process start-up",
	About:  "`slipway version` and `buildx version`.",
	Shapes: plain(1), Runs: 10, Warm: true,
	Sides: []Side{
		{Name: "slipway", Args: []string{"version"}, Local: true},
		{Name: "buildx", Tool: Buildx, Args: []string{"version"}, Local: true},
	},
	Estimate: seconds(2),
}
