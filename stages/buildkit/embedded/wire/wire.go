// Package wire is what BuildKit's process, package worker, and the one that started it,
// package embedded, say to each other before they speak BuildKit's own protocol. It is
// a package of its own so that neither has in it what the other is made of.
//
// It must never know how either does its work.
package wire

import (
	"slipway/oci"
	"slipway/stages/buildkit/state"
)

// Task is the name of the work that Options ask for, for package host; PruneTask that
// of Prune.
const (
	Task      = "buildkit"
	PruneTask = "prune"
)

// Options say how BuildKit is to run.
type Options struct {
	// StateDir holds BuildKit's state. Runs that overlap take one slot each
	// below it, since BuildKit's stores belong to one process at a time.
	StateDir string
	// Runtime is the path of the OCI runtime.
	Runtime string
	// Snapshotter is how layers are laid over each other, by a name of package
	// host; empty is the best that works.
	Snapshotter string
	// Registries say how registries are reached.
	Registries oci.Options
	// Owner is the process that is said to use the slot.
	Owner int
	// Limit is how much all slots together may take.
	Limit state.Limit
	// CacheMounts is the directory that holds the cache mounts of RUNs, an absolute
	// path; "" is BuildKit's state, NoCacheMounts nowhere: they begin empty in every
	// run.
	CacheMounts string
}

// NoCacheMounts is for Options.CacheMounts.
const NoCacheMounts = "off"

// Started is the answer to Options.
type Started struct {
	// Notes are what people should know.
	Notes []string
}

// Prune makes slots smaller; the answer is what that came to. There is no bound
// on its time but the end of the connection.
type Prune struct {
	StateDir string
	Owner    int
	Keep     state.Keep
}
