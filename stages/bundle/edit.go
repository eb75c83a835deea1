package bundle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// edits are scalars to be replaced in place: everything else of a file keeps its
// bytes, comments included.
type edits struct {
	files map[*loader.BufferedFile]map[*yaml.Node]string
}

func newEdits() *edits { return &edits{files: map[*loader.BufferedFile]map[*yaml.Node]string{}} }

func (e *edits) set(file *loader.BufferedFile, node *yaml.Node, text string) {
	if node.Value == text {
		return
	}
	if e.files[file] == nil {
		e.files[file] = map[*yaml.Node]string{}
	}
	e.files[file][node] = text
}

// apply makes the edits.
func (e *edits) apply() (map[*loader.BufferedFile][]byte, error) {
	out := map[*loader.BufferedFile][]byte{}
	for file, nodes := range e.files {
		text, err := replace(string(file.Data), nodes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
		out[file] = []byte(text)
	}
	return out, nil
}

func replace(text string, nodes map[*yaml.Node]string) (string, error) {
	type change struct {
		from, to int
		text     string
	}
	starts := lineStarts(text)
	var changes []change
	for node, now := range nodes {
		from, to, err := extent(text, starts, node)
		if err != nil {
			return "", err
		}
		changes = append(changes, change{from, to, scalar(now)})
	}
	// From the end, so that positions before stay true.
	slices.SortFunc(changes, func(a, b change) int { return b.from - a.from })
	for _, c := range changes {
		text = text[:c.from] + c.text + text[c.to:]
	}
	return text, nil
}

// extent is where a scalar stands: plain or in quotes, on one line, as it is read.
func extent(text string, starts []int, node *yaml.Node) (from, to int, err error) {
	wrong := fmt.Errorf("line %d: %q cannot be replaced in place: write it on one line, plain or in quotes, with no anchor or tag", node.Line, node.Value)
	if node.Line < 1 || node.Line > len(starts) {
		return 0, 0, wrong
	}
	from = starts[node.Line-1]
	for range node.Column - 1 { // a column is a character
		_, size := utf8.DecodeRuneInString(text[from:])
		from += size
	}
	for _, written := range []string{node.Value, `"` + node.Value + `"`, `'` + node.Value + `'`} {
		if strings.HasPrefix(text[from:], written) && written != "" {
			return from, from + len(written), nil
		}
	}
	return 0, 0, wrong
}

func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// scalar writes text plain where it is read as the same text, else in quotes.
func scalar(text string) string {
	var back any
	if err := yaml.Unmarshal([]byte(text), &back); err == nil && back == any(text) && !strings.ContainsAny(text, "#,[]{}\n") {
		return text
	}
	return strconv.Quote(text)
}
