// Command run builds the program as it is meant to be used: see package release. It
// must be run within the project's module.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"slipway/cmd/internal/release"
)

func main() {
	var o release.Options
	flag.StringVar(&o.Output, "o", "bin/slipway", "the program's file")
	flag.StringVar(&o.Version, "version", "", "what the program calls itself")
	flag.StringVar(&o.OS, "os", "", "the system that it is for, as GOOS (default: this one)")
	flag.StringVar(&o.Arch, "arch", "", "the processor that it is for, as GOARCH (default: this one)")
	flag.Parse()
	if err := release.Build(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
