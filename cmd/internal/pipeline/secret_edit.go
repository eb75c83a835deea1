package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"slipway/planner/diag"
	"slipway/stages/chart/secret"
)

// EditOptions are what EditSecret takes beside SecretOptions.
type EditOptions struct {
	File    string // need not exist
	Values  bool   // a YAML file, each value encrypted on its own
	Editor  string // a command line, split at white space; "" is vim, vi or nano
	TempDir string // for the plaintext; "" is the system's
	// Again asks, told what is wrong with the edited text, whether to go on
	// editing it. If it is nil or says no, the edit is dropped.
	Again func(error) bool
}

// EditSecret lets the user edit the plaintext of an encrypted file and encrypts
// it again if it changed. The plaintext is in a directory that only the user can
// read, and that is gone when EditSecret returns, whatever happened: the caller
// has to see to it that signals cancel ctx instead of ending the process.
func EditSecret(ctx context.Context, o SecretOptions, e EditOptions) (err error) {
	key, err := o.key()
	if err != nil {
		return err
	}
	old, err := os.ReadFile(e.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the file to edit: %w", err)
	}
	plain, err := decrypt(key, SecretText{Data: old, Values: e.Values, Name: e.File})
	if err != nil {
		return err
	}
	command, err := editor(e.Editor)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.TempDir, "slipway-edit-") // mode 0700
	if err != nil {
		return fmt.Errorf("making a place for the plaintext: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := filepath.Join(dir, filepath.Base(e.File))
	if err := os.WriteFile(name, plain, 0o600); err != nil {
		return fmt.Errorf("writing the plaintext: %w", err)
	}
	for {
		if err := runEditor(ctx, append(command, name)); err != nil {
			return fmt.Errorf("editing %s, which stays as it was: %w", e.File, err)
		}
		edited, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the edited plaintext: %w", err)
		}
		if bytes.Equal(edited, plain) {
			return nil
		}
		encrypted, err := e.encrypt(key, old, edited)
		if err == nil {
			return WriteFile(e.File, encrypted, 0o644)
		}
		if !diag.Is(err) || e.Again == nil || !e.Again(err) {
			return fmt.Errorf("%w\n%s stays as it was", err, e.File)
		}
	}
}

func (e EditOptions) encrypt(key *secret.Key, old, edited []byte) ([]byte, error) {
	if !e.Values {
		return encrypt(key, SecretText{Data: edited})
	}
	out, err := key.UpdateValues(old, edited)
	return out, aboutSecret(e.File, err)
}

// editor is the command to run, less the file.
func editor(given string) ([]string, error) {
	if command := strings.Fields(given); len(command) > 0 {
		return command, nil
	}
	for _, name := range []string{"vim", "vi", "nano"} {
		if _, err := exec.LookPath(name); err == nil {
			return []string{name}, nil
		}
	}
	return nil, &diag.Diagnostic{Message: "there is no editor: neither vim nor vi nor nano is in PATH", Advice: "set $EDITOR"}
}

// editorGrace is how long an editor that is told to end may take.
const editorGrace = 5 * time.Second

func runEditor(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // lets it restore the terminal
	cmd.WaitDelay = editorGrace
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", command[0], err)
	}
	return nil
}
