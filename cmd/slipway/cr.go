package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/oci"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func crCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cr", Short: "Log in to registries and out"}
	cmd.AddCommand(loginCommand(), logoutCommand())
	return cmd
}

func loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Keep the credentials for a registry",
		Long: `Check a user name and a password with a registry, HOST[:PORT] or docker.io, and keep them in the Docker
configuration, or in the credential helper that it names: there Slipway, docker, helm, crane and others
find them. What the registry refuses is not kept. At a terminal, what is missing is asked for.`,
		Args:    cobra.ExactArgs(1),
		Example: `  echo "$TOKEN" | slipway cr login registry.example.org --username ci --password-stdin`,
	}
	f := newFlags(cmd)
	var o oci.Options
	var user, password string
	var fromStdin bool
	f.StringVarP(&user, "username", "u", "", "The user's name")
	f.reads("username", "WERF_USERNAME")
	f.StringVarP(&password, "password", "p", "", "The password or token; others see it in the list of processes: better is --password-stdin")
	f.reads("password", "WERF_PASSWORD")
	f.boolean(&fromStdin, "password-stdin", "", "Read the password from standard input")
	f.login(&o)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		registry, session, err := registryOf(args[0], o)
		if err != nil {
			return err
		}
		switch {
		case fromStdin && password != "":
			return &usageError{errors.New("--password and --password-stdin cannot both be given")}
		case fromStdin && user == "":
			return &usageError{errors.New("--password-stdin needs --username, too")}
		case fromStdin:
			password, err = passwordFrom(os.Stdin)
		default:
			user, password, err = askFor(cmd.Context(), user, password)
		}
		if err != nil {
			return err
		}
		checked, err := session.Login(cmd.Context(), registry, user, password)
		if err != nil {
			return err
		}
		if !checked {
			fmt.Fprintf(os.Stderr, "note: %s lets everybody in, and so did not check the password\n", registry)
		}
		fmt.Fprintf(os.Stderr, "Logged in to %s.\n", registry)
		return nil
	}
	return cmd
}

func logoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout REGISTRY",
		Short: "Forget the credentials for a registry",
		Args:  cobra.ExactArgs(1),
	}
	f := newFlags(cmd)
	var o oci.Options
	f.login(&o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		registry, session, err := registryOf(args[0], o)
		if err != nil {
			return err
		}
		found, err := session.Logout(cmd.Context(), registry)
		if err != nil {
			return err
		}
		if !found {
			fmt.Fprintf(os.Stderr, "There were no credentials for %s.\n", registry)
			return nil
		}
		fmt.Fprintf(os.Stderr, "Logged out from %s.\n", registry)
		return nil
	}
	return cmd
}

func registryOf(name string, o oci.Options) (string, *oci.Session, error) {
	registry, err := oci.ParseRegistry(name)
	if err != nil {
		return "", nil, &usageError{err}
	}
	session, err := oci.NewSession(o)
	return registry, session, err
}

// maxPassword is more than any token has.
const maxPassword = 1 << 20

// passwordFrom reads a password to its end, without the line break that echo
// leaves.
func passwordFrom(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPassword))
	if err != nil {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" {
		return "", &usageError{errors.New("there is no password on standard input")}
	}
	return password, nil
}

// askFor asks for what is missing, if there is somebody to ask.
func askFor(ctx context.Context, user, password string) (string, string, error) {
	if (user == "" || password == "") && !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", "", &usageError{errors.New("give --username, and the password with --password-stdin: there is no terminal to ask for them")}
	}
	if user == "" {
		fmt.Fprint(os.Stderr, "Username: ")
		line, err := waitFor(ctx, readLine)
		if err != nil {
			return "", "", fmt.Errorf("reading the user name: %w", err)
		}
		user = strings.TrimSpace(string(line))
	}
	if password == "" {
		hidden, err := readHidden(ctx, "Password: ")
		if err != nil {
			return "", "", fmt.Errorf("reading the password: %w", err)
		}
		password = string(hidden)
	}
	return user, password, nil
}

// readLine reads from a terminal, which gives a line at a time.
func readLine() ([]byte, error) {
	line := make([]byte, 1024)
	n, err := os.Stdin.Read(line)
	return line[:n], err
}
