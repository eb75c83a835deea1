package render

import (
	"fmt"
	"regexp"
	"strings"
)

// phrases are text/template's messages in plain words, with what to do. $1 and
// so on stand for the groups.
var phrases = []struct {
	pattern, message, advice string
}{
	{`function "(.*)" not defined`, `there is no function "$1"`, ""},
	{unclosed, "a {{ has no }}", ""},
	{`unexpected EOF`, "the text ends inside a block", "each {{ if }}, {{ range }}, {{ with }}, {{ define }} and {{ block }} needs its {{ end }}"},
	{`unexpected \{\{(end|else)\}\}`, "this {{ $1 }} belongs to no block", ""},
	{`missing value for (.*)`, "a value is missing in $1", ""},
	{`undefined variable "(.*)"`, `there is no variable $1 here`, "a variable that is made inside a block, a define or another template is not known outside: make it before the block, and set it there with {{ $1 = … }}"},
	{`can't evaluate field (\S+) in type (.*)`, "there is no .$1 in $2", ""},
	{`nil pointer evaluating .*\.(\S+)`, "there is no .$1: the value before it is not set", "test it with {{ if }} or {{ with }}, or give a default with dig"},
	{`wrong number of args for (\S+): want (at least )?(\d+) got (\d+)`, "$1 takes $2$3 arguments, not $4", ""},
	{`wrong type for value; expected (.*); got (.*)`, "$1 is needed here, not $2", ""},
	{`expected (.*); found (.*)`, "$1 is needed here, not $2", ""},
	{`non executable command in pipeline stage \d+`, "only a function can stand after |", ""},
	{`invalid value; expected (.*)`, "$1 is needed here, and the value is not set", "give it one with default"},
	{`range can't iterate over (?s:.*)`, "range needs a list, a map or a whole number", ""},
	{`incompatible types for comparison(?:: .*)?`, "values of different types cannot be compared", "make both of one type first: toString, int, float64"},
}

// plain puts a message of text/template into plain words.
func plain(message string) (string, string) {
	for _, p := range phrases {
		// Compiled here, since most runs never come here.
		if m := regexp.MustCompile(`\A(?:` + p.pattern + `)\z`).FindStringSubmatch(message); m != nil {
			for i := range m[1:] {
				m[i+1] = plainType(m[i+1])
			}
			message, advice := p.message, p.advice
			for i, group := range m[1:] {
				message = strings.ReplaceAll(message, fmt.Sprintf("$%d", i+1), group)
				advice = strings.ReplaceAll(advice, fmt.Sprintf("$%d", i+1), group)
			}
			return message, advice
		}
	}
	return message, ""
}

var plainTypes = map[string]string{
	"string": "a string", "bool": "a bool", "nil": "nothing", "<nil>": "nothing",
	"integer": "a whole number", "float": "a number", "int": "a whole number", "int64": "a whole number", "float64": "a number",
	"map[string]interface {}": "a map", "map[string]string": "a map",
	"[]interface {}": "a list", "[]string": "a list", "[]int": "a list",
	"interface {}": "the value before it", "*render.files": ".Files", "*render.commit": ".Commit", "render.commitDate": ".Commit.Date",
	"render.instant": "a date",
}

// plainType is a Go type for people.
func plainType(name string) string {
	if p, ok := plainTypes[name]; ok {
		return p
	}
	return name
}
