package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/stages/buildkit/state"
)

// everyID is the map of the machine's own ids (user_namespaces(7)).
const everyID = "0 0 4294967295"

const idsName = "ids"

// idMaps are the maps of this process's user namespace, whoever made that; "" if
// the ids are the machine's.
func idMaps() (string, error) {
	var maps []string
	for _, path := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		maps = append(maps, strings.Join(strings.Fields(string(content)), " "))
	}
	if maps[0] == everyID && maps[1] == everyID {
		return "", nil
	}
	return strings.Join(maps, "\n"), nil
}

// ownIDs empties a state directory whose files were stored under other user ids
// than those of maps: their owners would be read as others, and would be wrong in
// images. A file beside the state has the maps; there is none where they are "".
func ownIDs(root, maps string) error {
	path := filepath.Join(root, idsName)
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if string(have) == maps {
		return nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if state.Own(e.Name()) || e.Name() == idsName { // which goes last, when all else is gone
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return fmt.Errorf("BuildKit's state in %s was stored under other user ids than now, and cannot be removed by you: remove it as root: %w", root, err)
		}
	}
	if maps == "" {
		return os.Remove(path)
	}
	return os.WriteFile(path, []byte(maps), 0o600)
}
