//go:build !linux

package worker

// Main has nothing to do: BuildKit runs on Linux.
func Main() {}
