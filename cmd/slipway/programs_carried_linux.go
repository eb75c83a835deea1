//go:build carried

package main

import (
	_ "embed"

	"slipway/cmd/internal/carried"
	"slipway/stages/buildkit/host"
)

// packedBuildKit is cmd/slipway-buildkit, which package release puts here.
//
//go:embed slipway-buildkit.zst
var packedBuildKit []byte

// buildkit is a program of its own, as renderer is.
var buildkit = carried.Program("slipway-buildkit", packedBuildKit)

// started does nothing, unless this process was started by one of its kind, to look at
// what this machine can do: then it does its work and exits.
func started() { host.Main(nil) }
