package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxSlots bounds how many runs can build at once on one machine.
const maxSlots = 64

// takeSlot locks the first free of the numbered state directories below dir. The
// lock is the kernel's, so it is gone when the process is, however it ends.
func takeSlot(dir string) (root string, release func() error, err error) {
	for i := range maxSlots {
		root = filepath.Join(dir, strconv.Itoa(i))
		if err := os.MkdirAll(root, 0o700); err != nil {
			return "", nil, err
		}
		f, err := os.OpenFile(filepath.Join(root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return "", nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return root, f.Close, nil
		}
		f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return "", nil, fmt.Errorf("locking %s: %w", root, err)
		}
	}
	return "", nil, fmt.Errorf("all %d state directories below %s are in use by other runs", maxSlots, dir)
}
