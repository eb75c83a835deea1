// Package worker is the process in which BuildKit runs: worker, solver and the
// gRPC control service over the one connection that the process was started with.
// With that connection it ends. Linux only, but for Main.
//
// It must never know what is built, nor anything secret: contexts, secrets and
// credentials come over the connection, through BuildKit's sessions.
package worker
