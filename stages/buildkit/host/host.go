// Package host knows what this machine can do for builds, and starts the process
// that they run in: this same program once more, in namespaces of its own, so
// that whatever ends the run, its mounts and containers end with it, and so that
// a user without privileges is root among the files of a build. What is decided
// here is what `slipway host check` tells: the check is a worker process, too.
//
// It must never know what BuildKit is: a worker process is given a task by its
// name.
package host
