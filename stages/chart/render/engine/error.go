package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"slipway/stages/chart/render/wire"

	helm "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"
)

var (
	// engineError is how Helm's engine begins its errors, and encloses the place.
	engineError = regexp.MustCompile(`^(?:parse|execution) error (?:at|in) \((.*?)\): `)
	// place is how templates name one: FILE:LINE or FILE:LINE:BYTE, where the byte
	// counts from 0.
	place = regexp.MustCompile(`^(.+?):(\d+)(?::(\d+))?$`)
	// frame is one template in the chain of those that called each other.
	frame = regexp.MustCompile(`template: (\S+?:\d+(?::\d+)?): (?:executing "[^"]*" at (<.*?>): )?(?:error calling \w+: )?`)
	// unknownFunction is what the parser says of it.
	unknownFunction = regexp.MustCompile(`function "(\w+)" not defined`)
)

// templateError makes an Error of what Helm's engine says: the innermost template
// that the chart has a file for is where the mistake is, and the outer ones are
// how it came there.
func templateError(c *helm.Chart, err error) *wire.Error {
	text := err.Error()
	e := &wire.Error{Message: text}
	var places []string
	if m := engineError.FindStringSubmatch(text); m != nil {
		places = append(places, m[1])
		e.Message = text[len(m[0]):]
	}
	for _, m := range frame.FindAllStringSubmatchIndex(text, -1) {
		at := text[m[2]:m[3]]
		if templateText(c, fileOf(at)) == nil {
			continue // a text that tpl was given
		}
		places = append(places, at)
		e.Message = text[m[1]:]
		if m[4] >= 0 {
			e.Message = text[m[4]:m[5]] + ": " + e.Message
		}
	}
	if len(places) > 0 {
		locate(e, c, places[len(places)-1])
		for _, at := range slices.Backward(places[:len(places)-1]) {
			if m := place.FindStringSubmatch(at); m != nil {
				e.Via = append(e.Via, m[1]+":"+m[2])
			}
		}
		const most = 10 // of a chain that is longer, nobody reads more
		e.Via = slices.Compact(e.Via)
		e.Via = e.Via[:min(len(e.Via), most)]
	}
	if m := unknownFunction.FindStringSubmatch(e.Message); m != nil && strings.HasPrefix(m[1], "werf_") {
		e.Message = fmt.Sprintf("%s is a function of werf's, and Helm's engine does not have it", m[1])
		e.Advice = "Helm could not install the chart either; give what it returns as a value"
	}
	return e
}

// locate fills in a place.
func locate(e *wire.Error, c *helm.Chart, at string) {
	m := place.FindStringSubmatch(at)
	if m == nil {
		e.File = at
		return
	}
	e.File = m[1]
	e.Line, _ = strconv.Atoi(m[2])
	lines := strings.Split(string(templateText(c, e.File)), "\n")
	if e.Line < 1 || e.Line > len(lines) {
		return
	}
	e.Source = strings.TrimRight(lines[e.Line-1], "\r \t")
	if offset, err := strconv.Atoi(m[3]); err == nil && offset <= len(lines[e.Line-1]) {
		e.Column = utf8.RuneCountInString(lines[e.Line-1][:offset]) + 1
	}
}

func fileOf(at string) string {
	if m := place.FindStringSubmatch(at); m != nil {
		return m[1]
	}
	return at
}

// templateText is a template of the chart or of its sub-charts, by its full path;
// nil if there is none.
func templateText(c *helm.Chart, name string) []byte {
	for _, t := range c.Templates {
		if c.ChartFullPath()+"/"+t.Name == name {
			return t.Data
		}
	}
	for _, sub := range c.Dependencies() {
		if text := templateText(sub, name); text != nil {
			return text
		}
	}
	return nil
}

var (
	notYAML  = regexp.MustCompile(`^YAML parse error on (.+?): `)
	yamlLine = regexp.MustCompile(`yaml: line (\d+): `)
)

// manifestError makes an Error of what SortManifests says: a template that
// renders something else than YAML, with the lines that it rendered.
func manifestError(files map[string]string, err error, secrets bool) *wire.Error {
	m := notYAML.FindStringSubmatch(err.Error())
	if m == nil {
		return &wire.Error{Message: "what the chart renders is no manifest: " + err.Error()}
	}
	e := &wire.Error{File: m[1], Message: "what it renders is not YAML: " + wire.Plain(err.Error()[len(m[0]):])}
	if secrets {
		return e
	}
	for _, document := range wire.Documents(files[e.File]) {
		var any any
		err := yaml.Unmarshal([]byte(document), &any)
		if err == nil {
			continue
		}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			n, _ := strconv.Atoi(m[1])
			e.Advice = "it renders\n" + excerpt(document, n)
		}
		break
	}
	return e
}

// excerpt is the lines around the one that is at fault, or near it: the YAML
// library is not exact.
func excerpt(text string, line int) string {
	const around = 2
	lines := strings.Split(text, "\n")
	var out []string
	for n := max(1, line-around); n <= min(len(lines), line+around); n++ {
		out = append(out, fmt.Sprintf("%d | %s", n, lines[n-1]))
	}
	return strings.Join(out, "\n")
}
