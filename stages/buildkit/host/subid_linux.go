package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// subIDs are the ids that the machine lends to a user (subuid(5)), as they are in
// its namespace, from 1 on.
type subIDs struct {
	uids, gids []IDRange
	helpers    [2]string // newuidmap, newgidmap
}

// findSubIDs finds the ids of the user of this process. An error says what is
// missing and how to add it.
func findSubIDs() (subIDs, error) {
	id := strconv.Itoa(os.Getuid())
	name := id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	var s subIDs
	for n, file := range []struct {
		path   string
		ranges *[]IDRange
		helper string
	}{{"/etc/subuid", &s.uids, "newuidmap"}, {"/etc/subgid", &s.gids, "newgidmap"}} {
		helper, err := idMapper(file.helper)
		if err != nil {
			return s, err
		}
		s.helpers[n] = helper
		content, err := os.ReadFile(file.path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		if *file.ranges = parseSubIDs(string(content), name, id); len(*file.ranges) == 0 {
			return s, fmt.Errorf("%s has no line for %s: as root, usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s (another range where that one is another user's)", file.path, name, name)
		}
	}
	return s, nil
}

// parseSubIDs reads the lines "NAME:FIRST:COUNT" of a user, who may be given by
// number. Lines that newuidmap would not take are not taken here.
func parseSubIDs(content, name, id string) []IDRange {
	var out []IDRange
	inside := 1
	for line := range strings.Lines(content) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != id {
			continue
		}
		first, err1 := strconv.ParseUint(fields[1], 10, 32)
		count, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 != nil || err2 != nil || count == 0 {
			continue
		}
		out = append(out, IDRange{inside, int(first), int(count)})
		inside += int(count)
	}
	return out
}

// idMapper finds newuidmap or newgidmap and sees that it can do its work, for
// which it needs root's privileges.
func idMapper(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: on Debian and Ubuntu apt-get install uidmap, elsewhere shadow-utils", name)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); info.Mode()&os.ModeSetuid == 0 && (err != nil || n == 0) {
		return "", fmt.Errorf("%s runs without privileges: as root, chmod u+s %s", path, path)
	}
	if machine.status("NoNewPrivs") == "1" {
		return "", fmt.Errorf("%s gets no privileges, as this process may gain none (no_new_privs): in Kubernetes set allowPrivilegeEscalation: true, in Docker leave out --security-opt no-new-privileges", path)
	}
	return path, nil
}

// ownIDs are all ids that this process's own user namespace has, to be the same
// in the next one.
func ownIDs(path string) ([]IDRange, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []IDRange
	for line := range strings.Lines(string(content)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		// A map of all ids would look like that of the machine itself, and OCI
		// runtimes would think that they may do all that its root may.
		out = append(out, IDRange{inside, inside, min(count, 1<<31)})
	}
	return out, nil
}
