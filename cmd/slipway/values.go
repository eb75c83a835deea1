package main

import (
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
