package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Permissions of new files.
const (
	encryptedMode os.FileMode = 0o644
	plainMode     os.FileMode = 0o600
)

// run reads a text from the file that it names, else from standard input, else
// from the terminal if there is a prompt for it, and writes what becomes of it.
func (f *secretFlags) run(cmd *cobra.Command, transform func(pipeline.SecretOptions, pipeline.SecretText) ([]byte, error), prompt string, text pipeline.SecretText, mode os.FileMode) (err error) {
	if text.Data, err = readSecret(cmd.Context(), text.Name, prompt); err != nil {
		return err
	}
	out, err := transform(f.options(), text)
	if err != nil {
		return err
	}
	if f.output != "" {
		return pipeline.WriteFile(f.output, out, mode)
	}
	if term.IsTerminal(int(os.Stdout.Fd())) && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	_, err = cmd.OutOrStdout().Write(out)
	return err
}

func readSecret(ctx context.Context, name, prompt string) ([]byte, error) {
	if name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
		return data, nil
	}
	var data []byte
	var err error
	switch {
	case !term.IsTerminal(int(os.Stdin.Fd())):
		data, err = io.ReadAll(os.Stdin)
	case prompt == "":
		return nil, &usageError{errors.New("name a FILE, or give the text on standard input")}
	default:
		data, err = readHidden(ctx, prompt)
	}
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	if len(data) == 0 {
		return nil, &usageError{errors.New("there is nothing on standard input")}
	}
	return data, nil
}

// readHidden reads a line from the terminal without showing it. The terminal is
// as it was afterwards, also when ctx ends the wait.
func readHidden(ctx context.Context, prompt string) ([]byte, error) {
	stdin := int(os.Stdin.Fd())
	state, err := term.GetState(stdin)
	if err != nil {
		return nil, err
	}
	defer term.Restore(stdin, state)
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	return waitFor(ctx, func() ([]byte, error) { return term.ReadPassword(stdin) })
}

// waitFor gives up a read that ctx cannot end.
func waitFor(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := read()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// editAgain asks whether to go on editing, nil where nobody can be asked.
func editAgain(ctx context.Context) func(error) bool {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return func(err error) bool {
		fmt.Fprintf(os.Stderr, "Error: %v\nGo on editing? Otherwise the changes are lost. [Y/n] ", err)
		answer, err := waitFor(ctx, func() ([]byte, error) {
			line := make([]byte, 64) // a terminal gives a line at a time
			n, err := os.Stdin.Read(line)
			return line[:n], err
		})
		if err != nil {
			return false
		}
		word := strings.ToLower(strings.TrimSpace(string(answer)))
		return word == "" || strings.HasPrefix(word, "y")
	}
}
