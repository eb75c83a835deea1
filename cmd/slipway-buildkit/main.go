// Command slipway-buildkit is the process in which BuildKit runs for slipway, which
// carries it within itself and is the only one to start it. Linux only.
//
// It must never have in it what plans and publishes: it exists to keep the two apart.
package main

import (
	"fmt"
	"os"

	"slipway/stages/buildkit/embedded/worker"
)

func main() {
	worker.Main()
	fmt.Fprintln(os.Stderr, "Error: this is a part of slipway, which starts it: use slipway build")
	os.Exit(2)
}
