package render

import "syscall"

// attributes are what the kernel is to do when it makes the process.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C is for this process, which ends the other
		Pdeathsig: syscall.SIGKILL,
	}
}
