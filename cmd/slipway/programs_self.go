//go:build !carried

package main

import (
	"slipway/stages/buildkit/embedded/worker"
	"slipway/stages/buildkit/host"
	"slipway/stages/chart/render"
	"slipway/stages/chart/render/engine"
)

// renderer and buildkit are this program: a plain go build needs no other first.
var (
	renderer render.Program
	buildkit host.Program
)

// started does nothing, unless this process was started by one of its kind: then it
// does its work and exits.
func started() {
	worker.Main()
	engine.Main()
}
