package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scale are scenarios over one shape of repository in growing sizes, the last of
// which is larger than most. Time and memory must grow no faster than the
// repository.
var Scale = []Scenario{{
	Name: "scale-plan", Title: "`plan`, without a registry",
	Shapes: growing(500, 1000, 2000, 3000, 4000, 5000), Runs: 3,
	Sides:    []Side{{Name: "slipway plan", Args: []string{"plan"}, Local: true}},
	Estimate: seconds(5, 10, 20, 30, 40, 50),
}, {
	Name: "scale-noop", Title: "`build` with nothing to do, a fresh machine",
	About:  "The registry has a small image under each key, which is all that such a run asks for.",
	Shapes: growing(500, 1000, 2000, 3000, 4000, 5000), Runs: 3, Seeded: true,
	Sides:    []Side{{Name: "slipway build", Args: build, Fresh: true}},
	Estimate: seconds(5, 10, 20, 30, 40, 50),
}}

// growing are shapes with 40 files an image, in chains of eleven images.
func growing(images ...int) []Shape {
	shapes := make([]Shape, len(images))
	for i, n := range images {
		shapes[i] = Shape{Images: n, Files: 40 * n, Depth: 10}
	}
	return shapes
}

// Growth says how costs grow from the smallest to the largest repository.
func Growth(scenarios []Scenario, results []Result) string {
	var b strings.Builder
	for _, s := range scenarios {
		first, okFirst := s.find(results, s.Shapes[0], s.Sides[0])
		last, okLast := s.find(results, s.Shapes[len(s.Shapes)-1], s.Sides[0])
		if !okFirst || !okLast || len(first.Samples) == 0 || len(last.Samples) == 0 || len(s.Shapes) < 2 {
			continue
		}
		fmt.Fprintf(&b, "From %s to %s images, %.1f × as many, `%s` takes %.1f × the time and %.1f × the memory.\n",
			thousands(s.Shapes[0].Images), thousands(s.Shapes[len(s.Shapes)-1].Images),
			float64(s.Shapes[len(s.Shapes)-1].Images)/float64(s.Shapes[0].Images), s.Sides[0].Name,
			float64(median(last, wall))/float64(median(first, wall)), float64(median(last, rss))/float64(median(first, rss)))
	}
	return b.String()
}

// Plot draws time and memory over the number of images, as SVG. The same results
// give the same text.
func Plot(scenarios []Scenario, results []Result) string {
	time := panel{title: "time, seconds"}
	memory := panel{title: "peak memory, MiB"}
	for _, s := range scenarios {
		t, m := series{name: s.Sides[0].Name}, series{name: s.Sides[0].Name}
		for _, shape := range s.Shapes {
			r, ok := s.find(results, shape, s.Sides[0])
			if !ok || len(r.Samples) == 0 {
				continue
			}
			t.add(shape.Images, r, func(s Sample) float64 { return s.Wall.Seconds() })
			m.add(shape.Images, r, func(s Sample) float64 { return float64(s.RSS) / mib })
		}
		time.series, memory.series = append(time.series, t), append(memory.series, m)
	}
	return svg(time, memory)
}

func (s *series) add(images int, r Result, of func(Sample) float64) {
	all := values(r, of)
	s.points = append(s.points, point{x: float64(images), y: median(r, of), low: slices.Min(all), high: slices.Max(all)})
}

// Estimate is what scenarios take on two quiet cores.
func Estimate(scenarios ...Scenario) time.Duration {
	var sum time.Duration
	for _, s := range scenarios {
		for _, d := range s.Estimate {
			sum += d
		}
	}
	return sum
}
