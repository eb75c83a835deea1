package pipeline

import (
	"slipway/oci"
	"slipway/stages/buildkit/embedded"
)

// newSolver is BuildKit in this process.
func newSolver(o Options, session *oci.Session) solver {
	return embedded.New(embedded.Options{StateDir: o.StateDir, Session: session, CacheMounts: o.CacheMounts})
}
