package host

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// taskStubborn starts a process, answers with its number, and never ends.
const taskStubborn = "stubborn"

func TestMain(m *testing.M) {
	Main(map[string]Task{taskStubborn: func(w *Worker) error {
		child := exec.Command("sleep", "1000")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		if err := w.Answer(child.Process.Pid); err != nil {
			return err
		}
		time.Sleep(24 * time.Hour)
		return nil
	}})
	os.Exit(m.Run())
}

// What does not end by itself is killed: when the time is over, and when the run
// has been cancelled. Nothing that it has started goes on.
func TestCloseAStubbornProcess(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	isolation, err := decide()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		ctx       context.Context
		patience  time.Duration
		processes bool
	}{
		"too long":            {t.Context(), time.Millisecond, true},
		"cancelled":           {cancelled, time.Hour, true},
		"without a namespace": {cancelled, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			isolation := isolation
			isolation.Processes = test.processes
			var child int
			p, err := start(t.Context(), isolation, taskStubborn, nil, &child)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(test.ctx, test.patience); !errors.Is(err, ErrKilled) {
				t.Errorf("got %v", err)
			}
			if !test.processes && syscall.Kill(child, 0) != syscall.ESRCH {
				t.Errorf("process %d goes on", child)
				syscall.Kill(child, syscall.SIGKILL) //nolint:errcheck // it may be gone
			}
		})
	}
}
