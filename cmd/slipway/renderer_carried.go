//go:build carryrenderer

package main

import (
	_ "embed"

	"slipway/cmd/internal/carried"
)

// compressed is cmd/slipway-render, which package release puts here.
//
//go:embed renderer.zst
var compressed []byte

// renderer is a program of its own: this one starts faster, and takes less memory,
// without what that is made of.
var renderer = carried.Program("slipway-render", compressed)

// rendererMain has nothing to do: this process is none that renders.
func rendererMain() {}
