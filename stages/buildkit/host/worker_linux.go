package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Worker is what a task has of its process.
type Worker struct {
	Isolation Isolation
	// Conn is the connection to the process that started this one: its end means
	// that the task is to end. It is the task's own after its Answer.
	Conn net.Conn

	request  json.RawMessage
	answered bool
}

// Task is what a worker process does. What it returns before its Answer is what
// Start returns.
type Task func(w *Worker) error

// Main does nothing, unless this process is a worker: then it runs its task and
// exits. Call it before anything else.
func Main(tasks map[string]Task) {
	if len(os.Args) != 3 || os.Args[0] != workerName {
		return
	}
	task := tasks[os.Args[1]]
	switch os.Args[1] {
	case taskInspect:
		task = inspectInside
	case taskRemove:
		task = removeInside
	}
	conn, err := fileConn(connFD)
	if err == nil && task == nil {
		err = fmt.Errorf("no task %q", os.Args[1])
	}
	if err == nil {
		err = run(&Worker{Conn: conn}, task)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(w *Worker, task Task) error {
	var m struct {
		message
		Value json.RawMessage
	}
	// The request comes when the namespaces are complete.
	if err := readMessage(w.Conn, &m); err != nil {
		return err
	}
	w.Isolation, w.request = m.Isolation, m.Value
	err := w.Isolation.settle()
	if err == nil && !w.Isolation.Processes {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		defer killChildren()
		killed := make(chan os.Signal, 1)
		signal.Notify(killed, unix.SIGTERM) // of Process.Kill
		go func() {
			<-killed
			killChildren()
			os.Exit(1)
		}()
	}
	if err == nil {
		err = task(w)
	}
	if err == nil || w.answered {
		return err
	}
	return writeMessage(w.Conn, message{NoProc: errors.Is(err, errNoProc), Error: err.Error()})
}

// killChildren ends what a task has left running, which no PID namespace ends:
// processes whose parents have ended are this one's children.
func killChildren() {
	me := strconv.Itoa(os.Getpid())
	for {
		dirs, _ := filepath.Glob("/proc/[0-9]*") //nolint:errcheck // the pattern is good
		left := false
		for _, dir := range dirs {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if parent, gone := parentOf(dir); err != nil || gone != nil || parent != me {
				continue
			}
			left = true
			unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // it may be gone already
			unix.Wait4(pid, nil, 0, nil) //nolint:errcheck // so is this
		}
		if !left {
			return
		}
	}
}

// Request decodes what the task is asked.
func (w *Worker) Request(into any) error {
	if err := json.Unmarshal(w.request, into); err != nil {
		return fmt.Errorf("reading the request to a worker process: %w", err)
	}
	return nil
}

// Answer tells Start that all is well.
func (w *Worker) Answer(value any) error {
	w.answered = true
	return writeMessage(w.Conn, message{Value: value})
}

// settle makes the new namespaces what they are for: no mount of theirs is seen
// outside, and /proc shows the processes that are in them.
func (i Isolation) settle() error {
	// What is unmounted outside is not kept in use here.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return i.explain(fmt.Errorf("separating the mounts of builds from the machine's: %w", err))
	}
	if !i.Processes {
		return nil
	}
	err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return errNoProc
	}
	if err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}
