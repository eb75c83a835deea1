//go:build !carryrenderer

package main

import (
	"slipway/stages/chart/render"
	"slipway/stages/chart/render/engine"
)

// renderer is this program: a plain go build needs no other first.
var renderer render.Program

// rendererMain does nothing, unless this process is one that renders.
func rendererMain() { engine.Main() }
