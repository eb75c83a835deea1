package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Cost is what a program cost the machine, with all that it started and waited
// for.
type Cost struct {
	Wall time.Duration `json:"wall"`
	CPU  time.Duration `json:"cpu"` // user and system
	RSS  int64         `json:"rss"` // bytes, the peak of the largest process
}

// command is a program to run.
type command struct {
	argv []string
	dir  string
	env  []string
}

// launchVariable turns a start of this program into a launcher.
const launchVariable = "SLIPWAY_BENCH_LAUNCH"

// Launch must be the first call of every program with this package: a process
// begins with the peak memory of the one that starts it, so programs are
// measured from a small one, which is this program started again. Launch returns
// where that has not happened; else it runs its arguments, writes their Cost to
// file descriptor 3, and exits.
func Launch() {
	if os.Getenv(launchVariable) == "" {
		return
	}
	if err := launch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func launch(argv []string) error {
	os.Unsetenv(launchVariable)
	// A signal is for the program; it is caught here, not ignored, since programs
	// inherit what is ignored.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(3)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return err
	}
	// What wait4 gives holds the descendants that the program has waited for.
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the system does not say what a process cost")
	}
	return json.NewEncoder(report).Encode(Cost{
		Wall: wall, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		RSS: usage.Maxrss << 10, // KiB on Linux, getrusage(2)
	})
}

// measure runs a program to its end and returns what it cost and its output. One
// that fails is an error that holds the output.
func measure(ctx context.Context, c command) (Cost, string, error) {
	self, err := os.Executable()
	if err != nil {
		return Cost{}, "", err
	}
	log, err := os.CreateTemp("", "slipway-bench-*.log")
	if err != nil {
		return Cost{}, "", err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return Cost{}, "", err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, self, c.argv...)
	cmd.Dir, cmd.Env = c.dir, append(c.env, launchVariable+"=1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	err = cmd.Start()
	w.Close()
	var cost Cost
	if err == nil {
		decodeErr := json.NewDecoder(r).Decode(&cost)
		if err = cmd.Wait(); err == nil {
			err = decodeErr
		}
	}
	output, readErr := os.ReadFile(log.Name())
	if err = errors.Join(err, readErr); err != nil {
		return Cost{}, "", fmt.Errorf("%q: %w\n%s", c.argv, err, tail(output))
	}
	return cost, string(output), nil
}

// run runs a program that is not measured and returns its output.
func run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, tail(exit.Stderr))
		}
		return "", fmt.Errorf("%q: %w", c.argv, err)
	}
	return string(out), nil
}

func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }
