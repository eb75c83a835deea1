package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolation is how a worker process is kept apart from the machine. It always has
// its own mounts.
type Isolation struct {
	// UserNamespace: its user is root in a user namespace, and nobody special
	// outside of it.
	UserNamespace bool
	// UIDs and GIDs are the ids that exist in the user namespace.
	UIDs, GIDs []IDRange `json:",omitempty"`
	// Single says why there is only one user and one group in it; empty when there
	// are more.
	Single string `json:",omitempty"`
	// Processes: it has a PID namespace. Without one a RUN sees the processes of
	// its user.
	Processes bool

	// helpers are newuidmap and newgidmap, which write the maps: a user may map no
	// id but its own.
	helpers [2]string
}

// IDRange is a row of a user namespace's map (user_namespaces(7)).
type IDRange struct{ Inside, Outside, Count int }

// decide picks the strongest isolation that this process may ask for.
func decide() (Isolation, error) {
	caps, err := machine.capabilities()
	if err != nil {
		return Isolation{}, err
	}
	if os.Geteuid() == 0 && caps.has(unix.CAP_SYS_ADMIN) {
		i := Isolation{Processes: true}
		if ids, err := ownIDs("/proc/self/gid_map"); err == nil && len(ids) == 1 && ids[0].Count == 1 {
			i.Single = "the user namespace of this process maps one id only: map a range (unshare --map-auto, or the sub-ids of the container engine)"
		}
		return i, nil
	}
	if err := machine.userNamespaces(); err != nil {
		return Isolation{}, err
	}
	i := Isolation{UserNamespace: true, Processes: true}
	if caps.has(unix.CAP_SETUID) && caps.has(unix.CAP_SETGID) { // root in a container: all ids are its own
		if i.UIDs, err = ownIDs("/proc/self/uid_map"); err == nil {
			i.GIDs, err = ownIDs("/proc/self/gid_map")
		}
		return i, err
	}
	i.UIDs = []IDRange{{0, os.Geteuid(), 1}}
	i.GIDs = []IDRange{{0, os.Getegid(), 1}}
	sub, err := findSubIDs()
	if err != nil {
		i.Single = err.Error()
		return i, nil
	}
	i.UIDs, i.GIDs = append(i.UIDs, sub.uids...), append(i.GIDs, sub.gids...)
	i.helpers = sub.helpers
	return i, nil
}

// attributes are what the kernel is to do when it makes the process.
func (i Isolation) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS,
		Setpgid:    true, // Ctrl-C is for the program, which then ends its worker in order
	}
	if i.Processes {
		a.Cloneflags |= syscall.CLONE_NEWPID
		// With the first process of a PID namespace all others in it die.
		a.Pdeathsig = syscall.SIGKILL
	}
	if !i.UserNamespace {
		return a
	}
	a.Cloneflags |= syscall.CLONE_NEWUSER
	if i.helpers[0] != "" {
		// Until the maps are written the process is nobody, and nobody loses its
		// capabilities when it executes a program, unless they are ambient.
		for c := uintptr(0); c <= machine.lastCapability(); c++ {
			a.AmbientCaps = append(a.AmbientCaps, c)
		}
		return a
	}
	a.UidMappings, a.GidMappings = mappings(i.UIDs), mappings(i.GIDs)
	a.GidMappingsEnableSetgroups = i.Single == ""
	return a
}

func mappings(ranges []IDRange) []syscall.SysProcIDMap {
	var out []syscall.SysProcIDMap
	for _, r := range ranges {
		out = append(out, syscall.SysProcIDMap{ContainerID: r.Inside, HostID: r.Outside, Size: r.Count})
	}
	return out
}

// mapIDs writes the maps of the process's user namespace where the kernel has not
// done so when it was made.
func (i Isolation) mapIDs(ctx context.Context, pid int) error {
	if i.helpers[0] == "" {
		return nil
	}
	for n, ranges := range [][]IDRange{i.UIDs, i.GIDs} {
		args := []string{strconv.Itoa(pid)}
		for _, r := range ranges {
			args = append(args, strconv.Itoa(r.Inside), strconv.Itoa(r.Outside), strconv.Itoa(r.Count))
		}
		cmd := exec.CommandContext(ctx, i.helpers[n], args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// capabilitySet are the effective capabilities of a process.
type capabilitySet uint64

func (s capabilitySet) has(capability int) bool { return s&(1<<capability) != 0 }

func (k kernel) capabilities() (capabilitySet, error) {
	set, err := strconv.ParseUint(k.status("CapEff"), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("reading this process's capabilities: %w", err)
	}
	return capabilitySet(set), nil
}

// lastCapability is the highest that the kernel knows.
func (k kernel) lastCapability() uintptr {
	n, err := strconv.Atoi(k.setting("kernel/cap_last_cap"))
	if err != nil {
		return unix.CAP_LAST_CAP
	}
	return uintptr(n)
}
