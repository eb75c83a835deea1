//go:build carried

package main

import (
	_ "embed"

	"slipway/cmd/internal/carried"
)

// packedRenderer is cmd/slipway-render, which package release puts here.
//
//go:embed slipway-render.zst
var packedRenderer []byte

// renderer is a program of its own: this one starts faster, and takes less memory,
// without what that is made of.
var renderer = carried.Program("slipway-render", packedRenderer)
