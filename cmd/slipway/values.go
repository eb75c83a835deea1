package main

import (
	"strings"

	"slipway/stages/chart/render"
)

// values adds Helm's flags on values.
func (f *flags) values(v *render.Values) {
	f.list(&v.Files, "values", "WERF_VALUES", "Take values from this YAML file; repeatable, later files win")
	f.list(&v.Set, "set", "WERF_SET", "Set values, PATH=VALUE,…; repeatable")
	f.list(&v.SetString, "set-string", "WERF_SET_STRING", "Set values as strings, PATH=VALUE,…; repeatable")
	f.list(&v.SetFile, "set-file", "WERF_SET_FILE", "Set values to the text of files, PATH=FILE,…; repeatable")
	f.list(&v.SetJSON, "set-json", "WERF_SET_JSON", "Set values from JSON, PATH=JSON; repeatable")
}

// otherLists are variables of the reference's that begin as a list's do and are
// not of it.
var otherLists = []string{"WERF_SET_LITERAL", "WERF_SET_ROOT_JSON", "WERF_SET_RUNTIME_JSON", "WERF_SET_DOCKER_CONFIG_JSON_VALUE"}

// reserved tells whether a name that begins as a list's variable does is another
// flag's: WERF_SET_STRING_1 is none of --set.
func (f *flags) reserved(name, list string) bool {
	others := otherLists
	for _, variable := range f.env {
		others = append(others, variable)
	}
	for _, other := range others {
		if strings.HasPrefix(other, list+"_") && (name == other || strings.HasPrefix(name, other+"_")) {
			return true
		}
	}
	return false
}
