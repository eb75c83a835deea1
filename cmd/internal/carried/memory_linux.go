package carried

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seals are on a program that is to be started: nobody can change it any more.
const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// fromMemory starts the program from a file without a name (memfd_create(2)), if the
// machine lets it.
func fromMemory(name string, compressed []byte, start func(path string) error) error {
	f, err := memoryFile(name)
	if err != nil {
		return err
	}
	defer f.Close() // the process keeps it
	if err := unpack(f, compressed); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	return start(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

func memoryFile(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 knows no other files
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// The files that a process is given take low numbers, before it is started.
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 64)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(high), name), nil
}
