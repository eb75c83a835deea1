// Command emptynet runs a command in the network that it is started in, which has
// nothing but a loopback that is down:
//
//	emptynet [ADDRESS…] -- COMMAND [ARGUMENT…]
//
// It turns loopback on, listens on the TCP addresses and hands the listeners, in
// their order, to whoever holds the other end of its standard input, a socket. So
// a process elsewhere answers for the hosts that the command is to reach. File 3,
// if there is one, is the command's as systemd would give it
// (https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html).
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "emptynet:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	split := slices.Index(args, "--")
	if split < 0 || split == len(args)-1 {
		return errors.New("no command is given")
	}
	addresses, command := args[:split], args[split+1:]
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("turning on loopback: %w", err)
	}
	var fds []int
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer file.Close()
		fds = append(fds, int(file.Fd()))
	}
	// A byte goes with them, since nothing else would say that there are none.
	if err := unix.Sendmsg(0, []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
		return fmt.Errorf("handing out the listeners: %w", err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	// What unshare --kill-child asked for is the thread's that it started; the one
	// that becomes the command may be another.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	env := append(os.Environ(), "LISTEN_FDS=1", "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	return fmt.Errorf("starting %s: %w", path, syscall.Exec(path, command, env))
}

// loopbackUp is "ip link set lo up".
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
