//go:build !linux

package render

import "syscall"

// attributes has nothing to ask for: the process ends with its stdin.
func attributes() *syscall.SysProcAttr { return nil }
