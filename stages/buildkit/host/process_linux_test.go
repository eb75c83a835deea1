package host

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
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

// A program is started from the first place where that can be done, and what it has
// left is taken away when it has ended.
func TestProgram(t *testing.T) {
	removed := make(chan struct{})
	program := func(start func(path string) error) (func(), error) {
		if err := start(t.TempDir()); err == nil {
			t.Error("a directory was started")
		}
		return func() { close(removed) }, start(self)
	}
	var child int
	p, err := Start(t.Context(), program, taskStubborn, nil, &child)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-removed:
		t.Error("it was removed while it ran")
	default:
	}
	p.Kill()
	<-removed

	// A task that is not there is no reason to try another place.
	if _, err := Start(t.Context(), func(start func(path string) error) (func(), error) { return func() {}, start(self) }, "other", nil, &child); err == nil || !strings.Contains(err.Error(), `no task "other"`) {
		t.Errorf("got %v", err)
	}
	// What is refused everywhere is told once, unless it may be because of the place.
	for name, test := range map[string]struct {
		path  string
		times int
	}{"no such file": {"/nowhere", 1}, "not to be executed": {"/etc/passwd", 2}} {
		_, err := Start(t.Context(), func(start func(path string) error) (func(), error) {
			return nil, errors.Join(start(test.path), start(test.path))
		}, taskStubborn, nil, &child)
		if err == nil || strings.Count(err.Error(), test.path) != test.times {
			t.Errorf("%s: got %v", name, err)
		}
	}
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
			p, err := start(t.Context(), self, isolation, taskStubborn, nil, &child)
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
