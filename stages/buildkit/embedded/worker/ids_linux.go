package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"
)

// ownIDs empties a state directory whose files were stored under other user ids
// than those of this process's user namespace: their owners would be read as
// others, and would be wrong in images. A file beside the state has the ids; there
// is none where they are the machine's.
func ownIDs(root string, isolation host.Isolation) error {
	var want []byte
	if isolation.UserNamespace {
		var err error
		if want, err = json.Marshal([][]host.IDRange{isolation.UIDs, isolation.GIDs}); err != nil {
			return err
		}
	}
	path := filepath.Join(root, "ids")
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if string(have) == string(want) {
		return nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if state.Own(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return fmt.Errorf("BuildKit's state in %s was stored under other user ids than now, and cannot be removed by you: remove it as root: %w", root, err)
		}
	}
	if want == nil {
		return nil
	}
	return os.WriteFile(path, want, 0o600)
}
