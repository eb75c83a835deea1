package pipeline

import (
	"slipway/oci"
	"slipway/stages/buildkit/embedded"
)

// newSolver is BuildKit in this process.
func newSolver(stateDir string, session *oci.Session) solver {
	return embedded.New(embedded.Options{StateDir: stateDir, Session: session})
}
