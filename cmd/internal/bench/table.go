package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WriteTables renders results in Markdown, a section for each scenario. Scenarios
// without results are said not to have been run. The same results give the same
// text.
func WriteTables(scenarios []Scenario, results []Result) string {
	var b strings.Builder
	speed := speedOf(results)
	if speed > 1 {
		fmt.Fprintf(&b, "With nothing to do over 20 images, bake takes %s here, and took %s where the targets were set: targets for wall time are multiplied by %.1f, but for what of them is the way to a registry far away.\n\n",
			duration(time.Duration(speed*float64(yardstick))), duration(yardstick), speed)
	}
	for _, s := range scenarios {
		fmt.Fprintf(&b, "### %s\n\n", s.Title)
		if s.About != "" {
			fmt.Fprintf(&b, "%s ", s.About)
		}
		fmt.Fprintf(&b, "The registry is %s; scenario `%s`.\n\n", s.Link, s.Name)
		s.table(&b, results, speed)
	}
	return b.String()
}

// yardstick is what the first scenario's peer took over its first shape on the
// machine for which targets for wall time were set (November 2026).
const yardstick = 840 * time.Millisecond

// speedOf is how many times slower this machine is than that one, as far as is
// known; at least 1.
func speedOf(results []Result) float64 {
	s := Scenarios[0]
	peer, ok := s.find(results, s.Shapes[0], s.Sides[1])
	if !ok || len(peer.Samples) == 0 {
		return 1
	}
	return max(1, float64(median(peer, wall))/float64(yardstick))
}

func (s Scenario) table(b *strings.Builder, results []Result, speed float64) {
	find := func(shape Shape, side Side) (Result, bool) { return s.find(results, shape, side) }
	columns := []string{"repository", "", "wall: median (min – max)", "CPU", "memory", "requests (writes)", "sent", "received"}
	layered := slices.ContainsFunc(s.Shapes, func(shape Shape) bool { return shape.Layered })
	if layered {
		columns = append(columns, "RUNs")
	}
	if len(s.Sides) > 1 {
		columns = append(columns, "ratio")
	}
	if len(s.Targets) > 0 {
		columns = append(columns, "target")
	}
	row := func(cells ...string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	row(columns...)
	fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(columns)))
	base, _ := find(s.Shapes[0], s.Sides[0])
	for i, shape := range s.Shapes {
		judged, _ := find(shape, s.Sides[0])
		for k, side := range s.Sides {
			cells := []string{shape.String(), side.Name}
			r, ok := find(shape, side)
			switch {
			case !ok || r.Missing == "" && len(r.Samples) == 0:
				cells = append(cells, "not run")
			case r.Missing != "":
				cells = append(cells, "missing: "+r.Missing)
			default:
				cells = append(cells, r.cells(layered)...)
				if k > 0 {
					cells = append(cells, r.ratio(judged))
				}
			}
			for len(cells) < len(columns) {
				cells = append(cells, "")
			}
			if k == 0 && i < len(s.Targets) {
				var peer Result
				if len(s.Sides) > 1 {
					peer, _ = find(shape, s.Sides[1])
				}
				cells[len(cells)-1] = s.Targets[i].verdict(r, peer, base, speed)
			}
			row(cells...)
		}
	}
	b.WriteString("\n")
}

// find gives what became of a side; it says false where it was not run.
func (s Scenario) find(results []Result, shape Shape, side Side) (Result, bool) {
	i := slices.IndexFunc(results, func(r Result) bool {
		return r.Scenario == s.Name && r.Shape == shape.String() && r.Side == side.Name
	})
	if i < 0 {
		return Result{}, false
	}
	return results[i], true
}

// cells are the medians of a row.
func (r Result) cells(layered bool) []string {
	walls := values(r, wall)
	cells := []string{
		fmt.Sprintf("%s (%s – %s)", duration(median(r, wall)), duration(slices.Min(walls)), duration(slices.Max(walls))),
		duration(median(r, func(s Sample) time.Duration { return s.CPU })), size(median(r, rss)),
		fmt.Sprintf("%s (%s)", thousands(median(r, requests)), thousands(median(r, writes))),
		size(median(r, func(s Sample) int64 { return s.In })), size(median(r, func(s Sample) int64 { return s.Out })),
	}
	if layered {
		cells = append(cells, strconv.Itoa(median(r, func(s Sample) int { return s.Runs })))
	}
	return cells
}

// ratio is how many times what the judged side takes.
func (r Result) ratio(judged Result) string {
	if len(judged.Samples) == 0 {
		return ""
	}
	text := "time " + times(r, judged, wall)
	if median(judged, requests) > 0 {
		text += fmt.Sprintf(", requests %s, bytes %s", times(r, judged, requests), times(r, judged, traffic))
	}
	return text
}

func wall(s Sample) time.Duration { return s.Wall }
func rss(s Sample) int64          { return s.RSS }
func requests(s Sample) int       { return s.Total() }
func writes(s Sample) int         { return s.Writes() }
func traffic(s Sample) int64      { return s.In + s.Out }

// times is how many times the median of b that of a is.
func times[T int | int64 | time.Duration](a, b Result, of func(Sample) T) string {
	return fmt.Sprintf("%.1f ×", float64(median(a, of))/float64(median(b, of)))
}

// verdict says what the target is and which part of it is missed.
func (t Target) verdict(r, peer, base Result, speed float64) string {
	var parts []string
	part := func(missed bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if missed {
			text = "**missed:** " + text
		}
		parts = append(parts, text)
	}
	has := len(r.Samples) > 0
	here := func(d time.Duration) time.Duration {
		return time.Duration(speed*float64(d-t.Distance)) + t.Distance
	}
	within := func(d time.Duration) string {
		if speed == 1 {
			return duration(d)
		}
		return fmt.Sprintf("%s (here %s)", duration(d), duration(here(d)))
	}
	if t.Wall > 0 {
		part(has && median(r, wall) > here(t.Wall), "≤ %s", within(t.Wall))
	}
	if t.Above > 0 {
		part(has && len(base.Samples) > 0 && median(r, wall) > median(base, wall)+here(t.Above), "≤ first row + %s", within(t.Above))
	}
	if t.Ratio > 0 {
		part(has && len(peer.Samples) > 0 && float64(median(r, wall)) > t.Ratio*float64(median(peer, wall)), "≤ %v × %s", t.Ratio, cmp.Or(peer.Side, "peer"))
	}
	if t.RSS > 0 {
		part(has && median(r, rss) > t.RSS, "≤ %s", size(t.RSS))
	}
	if t.Requests > 0 {
		part(has && median(r, requests) > t.Requests, "≤ %s requests", thousands(t.Requests))
	}
	if t.ReadOnly {
		part(has && slices.Max(values(r, writes)) > 0, "no writes")
	}
	return strings.Join(parts, ", ")
}

func values[T cmp.Ordered](r Result, of func(Sample) T) []T {
	all := make([]T, len(r.Samples))
	for i, s := range r.Samples {
		all[i] = of(s)
	}
	return all
}

// median is the middle value, of an even number the lower one of the middle two.
func median[T cmp.Ordered](r Result, of func(Sample) T) T {
	all := values(r, of)
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

func duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < mib:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	case n < 10*mib:
		return fmt.Sprintf("%.1f MiB", float64(n)/mib)
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/mib)
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
