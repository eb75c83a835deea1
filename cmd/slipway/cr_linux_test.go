package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what a person sees and types, and what a
// program has for its standard streams.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// shows tells whether a terminal shows what is typed.
func shows(t *testing.T, terminal *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0 && t.Context().Err() == nil
}

// At a terminal, what is missing is asked for, and the password is not shown.
func TestLoginAtATerminal(t *testing.T) {
	t.Parallel()
	const password = "typed-password"
	registry := testenv.Registry(t, testenv.User("me", password))
	for name, args := range map[string][]string{"both": nil, "password": {"-u", "me"}} {
		t.Run(name, func(t *testing.T) {
			person, program := terminal(t)
			cli := testenv.Slipway(t)
			cmd := exec.CommandContext(t.Context(), cli.Path, append([]string{"cr", "login", registry.Host}, args...)...)
			cmd.Env = []string{"HOME=" + cli.Home}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			program.Close()
			screen := ""
			answers := map[string]string{"Username: ": "me\n", "Password: ": password + "\n"}
			for {
				buf := make([]byte, 4096)
				n, err := person.Read(buf)
				screen += string(buf[:n])
				for prompt, answer := range answers {
					if strings.Contains(screen, prompt) {
						delete(answers, prompt)
						for strings.Contains(answer, password) && shows(t, person) {
							time.Sleep(time.Millisecond)
						}
						if _, err := person.WriteString(answer); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err != nil {
					break // the program has closed its side
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, screen)
			}
			if strings.Contains(screen, password) || !strings.Contains(screen, "Logged in to "+registry.Host) {
				t.Errorf("the screen shows %q", screen)
			}
			if name == "password" && strings.Contains(screen, "Username: ") {
				t.Errorf("asked for what was given: %q", screen)
			}
			if _, config := readConfig(t, cli); config.Auths[registry.Host]["auth"] == "" {
				t.Errorf("nothing is kept: %v", config.Auths)
			}
		})
	}
}
