package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

func TestMain(m *testing.M) {
	Launch()
	os.Exit(m.Run())
}

func options(t *testing.T) Options {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work")
	cmd := exec.Command("go", "build", "-o", work, "slipway/cmd/internal/bench/work")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return Options{Slipway: testenv.Slipway(t).Path, Work: work, NoPeer: "none in this test", Runs: 1, Dir: t.TempDir(), Log: func(s string) { t.Log(s) }}
}

// Every scenario runs, over two images.
func TestScenarios(t *testing.T) {
	var scenarios []Scenario
	for _, s := range Scenarios {
		shape := Shape{Images: 2, Files: 6, Layered: s.Shapes[0].Layered}
		s.Shapes, s.Warm = []Shape{shape}, false
		scenarios = append(scenarios, s)
	}
	o := options(t)
	results, err := Run(t.Context(), scenarios, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Side != "slipway" {
			if r.Missing != o.NoPeer {
				t.Errorf("%s, %s: missing %q", r.Scenario, r.Side, r.Missing)
			}
			continue
		}
		if len(r.Samples) != 1 {
			t.Errorf("%s: %d samples, missing %q", r.Scenario, len(r.Samples), r.Missing)
			continue
		}
		s := r.Samples[0]
		if s.Wall <= 0 || s.CPU <= 0 || s.RSS <= 0 {
			t.Errorf("%s cost %+v", r.Scenario, s.Cost)
		}
		// What is asked and run is in the nature of each scenario.
		want, runs := map[string]int{
			"noop": 2, "noop-fresh": 2, "noop-commit": 2, "noop-1000": 2, "bundle": 4, "export": 4, "large": 2, "dev": 2,
			"plan": 0, "start": 0,
		}, 0
		if requests, ok := want[r.Scenario]; ok && (s.Total() > requests || s.Writes() != 0) {
			t.Errorf("%s: %d requests and %d writes, want %d and none", r.Scenario, s.Total(), s.Writes(), requests)
		}
		if strings.HasPrefix(r.Scenario, "first") && s.Writes() == 0 {
			t.Errorf("%s wrote nothing", r.Scenario)
		}
		if r.Scenario == "layers" {
			runs = 1
		}
		if s.Runs != runs {
			t.Errorf("%s: %d RUN were run, want %d", r.Scenario, s.Runs, runs)
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A program that fails is no result.
func TestFailure(t *testing.T) {
	o := options(t)
	s := Scenario{Name: "fails", Shapes: []Shape{{Images: 1}}, Runs: 1, Sides: []Side{{Name: "slipway", Args: []string{"build", "none"}}}}
	results, err := Run(t.Context(), []Scenario{s}, o)
	if err == nil || !strings.Contains(err.Error(), "none") || len(results) != 1 || len(results[0].Samples) != 0 {
		t.Errorf("results %+v, error %v", results, err)
	}
}

func TestMeasure(t *testing.T) {
	sh := testenv.Tool(t, "bash")
	cost, output, err := measure(t.Context(), command{argv: []string{sh, "-c", "echo $GREETING; sleep 0.1; echo $" + launchVariable}, env: []string{"GREETING=hello"}})
	if err != nil || output != "hello\n\n" {
		t.Errorf("output %q, %v", output, err)
	}
	if cost.Wall < ms(100) || cost.CPU <= 0 || cost.RSS < 1<<18 {
		t.Errorf("it cost %+v", cost)
	}
	_, _, err = measure(t.Context(), command{argv: []string{sh, "-c", "echo a reason >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "a reason") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := measure(ctx, command{argv: []string{sh, "-c", "sleep 60"}}); err == nil {
		t.Error("no error for a program that was not let run")
	}
}
