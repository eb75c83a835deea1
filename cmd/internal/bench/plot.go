package bench

import (
	"fmt"
	"math"
	"strings"
)

// panel is one diagram: series over a common number.
type panel struct {
	title  string
	series []series
}

type series struct {
	name   string
	points []point // by x
}

type point struct{ x, y, low, high float64 }

// Sizes of a drawing, in its own units.
const (
	panelWidth, panelHeight      = 460, 320
	left, right, top, bottom int = 56, 16, 36, 40
)

var colours = []string{"#1f77b4", "#d62728", "#2ca02c"}

// svg draws panels side by side, on white, since a page may be dark. Both axes
// begin at nothing, so that what is proportional is a line through the corner;
// the dashed line is that through each series' first point.
func svg(panels ...panel) string {
	var b strings.Builder
	width := panelWidth * len(panels)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, panelHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, panelHeight)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*panelWidth)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder) {
	var maxX, maxY float64
	for _, s := range p.series {
		for _, point := range s.points {
			maxX, maxY = max(maxX, point.x), max(maxY, point.high)
		}
	}
	stepX, stepY := step(maxX), step(maxY)
	// The axes end at a mark.
	endX, endY := max(stepX, math.Ceil(maxX/stepX)*stepX), max(stepY, math.Ceil(maxY/stepY)*stepY)
	x := func(v float64) float64 { return float64(left) + v/endX*float64(panelWidth-left-right) }
	y := func(v float64) float64 { return float64(panelHeight-bottom) - v/endY*float64(panelHeight-top-bottom) }
	line := func(x1, y1, x2, y2 float64, style string) {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
	}
	text := func(x, y float64, anchor, content string) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="#333">%s</text>`+"\n", x, y, anchor, content)
	}
	text(float64(left), 20, "start", p.title)
	text(x(endX), float64(panelHeight-6), "end", "images")
	for v := 0.0; v <= endX+stepX/2; v += stepX {
		text(x(v), float64(panelHeight-bottom+16), "middle", mark(v))
	}
	for v := 0.0; v <= endY+stepY/2; v += stepY {
		line(x(0), y(v), x(endX), y(v), `stroke="#ddd"`)
		text(x(0)-6, y(v)+4, "end", mark(v))
	}
	line(x(0), y(0), x(0), y(endY), `stroke="#333"`)
	line(x(0), y(0), x(endX), y(0), `stroke="#333"`)
	for i, s := range p.series {
		if len(s.points) == 0 {
			continue
		}
		colour := fmt.Sprintf(`stroke="%s"`, colours[i%len(colours)])
		var path []string
		for _, q := range s.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(q.x), y(q.y)))
			line(x(q.x), y(q.low), x(q.x), y(q.high), colour)
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(q.x), y(q.y), colours[i%len(colours)])
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" %s/>`+"\n", strings.Join(path, " "), colour)
		// As far as it stays in the picture.
		first := s.points[0]
		end := min(endX, endY*first.x/first.y)
		line(x(0), y(0), x(end), y(end*first.y/first.x), colour+` stroke-dasharray="2 4"`)
		line(float64(left+10), float64(top+14*i+8), float64(left+30), float64(top+14*i+8), colour)
		text(float64(left+36), float64(top+14*i+12), "start", s.name)
	}
}

// step is a round distance of marks, four to ten up to a value.
func step(limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(limit)))
	switch {
	case limit/unit < 2:
		return unit / 5
	case limit/unit < 5:
		return unit / 2
	}
	return unit
}

// mark writes a mark without the noise of binary fractions.
func mark(v float64) string { return fmt.Sprintf("%.4g", v) }
