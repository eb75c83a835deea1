package bench

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

func TestScaleReport(t *testing.T) {
	shapes := growing(500, 5000)
	scenarios := []Scenario{
		{Name: "a", Shapes: shapes, Sides: []Side{{Name: "plan"}}},
		{Name: "b", Shapes: shapes, Sides: []Side{{Name: "not run"}}},
	}
	results := []Result{
		{Scenario: "a", Shape: shapes[0].String(), Side: "plan", Samples: []Sample{sample(200*time.Millisecond, nil)}},
		{Scenario: "a", Shape: shapes[1].String(), Side: "plan", Samples: []Sample{sample(1800*time.Millisecond, nil), sample(2*time.Second, nil)}},
	}
	want := "From 500 to 5,000 images, 10.0 × as many, `plan` takes 9.0 × the time and 1.0 × the memory.\n"
	if got := Growth(scenarios, results); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	plot := Plot(scenarios, results)
	if again := Plot(scenarios, results); again != plot {
		t.Error("the same results are two plots")
	}
	points := 0
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			points++
		}
	}
	// The largest is the top right corner but for the axes' rest: 2 of 2 seconds,
	// 5000 of 5000 images; half of its height is the median's.
	if points != 4 || !strings.Contains(plot, `<line x1="444.0" y1="60.4" x2="444.0" y2="36.0"`) {
		t.Errorf("%d points in\n%s", points, plot)
	}
	if empty := Plot(scenarios, nil); strings.Contains(empty, "NaN") || strings.Contains(empty, "circle") {
		t.Errorf("without results:\n%s", empty)
	}
}
