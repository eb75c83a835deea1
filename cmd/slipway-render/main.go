// Command slipway-render renders and checks charts for slipway, which carries it
// within itself and is the only one to start it.
//
// It must never have in it what slipway has of its own: it exists to keep the two
// apart.
package main

import (
	"fmt"
	"os"

	"slipway/stages/chart/render/engine"
)

func main() {
	engine.Main()
	fmt.Fprintln(os.Stderr, "Error: this is a part of slipway, which starts it: use slipway render")
	os.Exit(2)
}
