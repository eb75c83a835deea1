//go:build carried && !linux

package main

import "slipway/stages/buildkit/host"

// buildkit is none: BuildKit runs on Linux.
var buildkit host.Program

// started has nothing to do: this program is not what it starts.
func started() {}
