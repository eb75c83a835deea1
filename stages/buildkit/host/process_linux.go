package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// workerName is the name (argv[0]) of a worker process, by which Main knows that it
// is in one. Its arguments are the task and the executable of who has started it.
const workerName = "slipway: worker"

// connFD is the worker's end of the connection.
const connFD = 3

// Process is a worker process: it has answered once, and what follows on Conn is
// between its task and the caller.
type Process struct {
	Isolation Isolation
	Conn      net.Conn

	cmd    *exec.Cmd
	stderr tail
	ended  chan struct{}
	err    error // how it ended; once ended is closed
}

// self is this program's executable, even when it has been replaced meanwhile.
const self = "/proc/self/exe"

// Start starts a program as a worker process, hands request to the task, and decodes
// the answer into answer. ctx bounds the start only. The process is killed when this
// one ends, however that happens.
func Start(ctx context.Context, program Program, task string, request, answer any) (p *Process, err error) {
	isolation, err := decide()
	if err != nil {
		return nil, err
	}
	if program == nil {
		program = func(start func(string) error) (func(), error) { return func() {}, start(self) }
	}
	var first *startError // of paths that do not start
	done, failed := program(func(path string) error {
		p, err = start(ctx, path, isolation, task, request, answer)
		if errors.Is(err, errNoProc) && isolation.Processes {
			isolation.Processes = false
			p, err = start(ctx, path, isolation, task, request, answer)
		}
		var refused *startError
		if errors.As(err, &refused) {
			first = cmp.Or(first, refused)
			return err
		}
		return nil // the program runs, or has run
	})
	if failed != nil {
		// Most that may be refused is a namespace, for each path alike.
		if first != nil && !errors.Is(first, unix.EACCES) {
			failed = first
		}
		return nil, isolation.explain(fmt.Errorf("starting a worker process: %w", failed))
	}
	if err != nil {
		done()
		return nil, err
	}
	go func() {
		<-p.ended
		done()
	}()
	return p, nil
}

// startError is the system's, of a process that it did not start.
type startError struct{ error }

func (e *startError) Unwrap() error { return e.error }

func start(ctx context.Context, path string, isolation Isolation, task string, request, answer any) (_ *Process, err error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connecting a worker process: %w", err)
	}
	defer theirs.Close()
	me, err := os.Readlink(self)
	if err != nil {
		return nil, fmt.Errorf("starting a worker process: %w", err)
	}
	p := &Process{Isolation: isolation, Conn: ours, cmd: exec.Command(path), ended: make(chan struct{})}
	p.cmd.Args = []string{workerName, task, me}
	p.cmd.Dir = "/"
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = isolation.attributes()
	p.cmd.WaitDelay = haste // for what it has started to let go of its stderr

	started := make(chan error, 1)
	go func() {
		// The process is killed when the thread that started it ends: this one
		// waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		p.err = p.cmd.Start()
		started <- p.err
		if p.err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		ours.Close()
		return nil, &startError{err}
	}
	theirs.Close() // so that the end of the process is the end of the connection
	defer func() {
		if err != nil {
			p.Kill()
		}
	}()
	if err := isolation.mapIDs(ctx, p.cmd.Process.Pid); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { ours.SetDeadline(time.Unix(1, 0)) })() //nolint:errcheck // it is a socket
	if err := p.handshake(request, answer); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return p, nil
}

func (p *Process) handshake(request, answer any) error {
	err := writeMessage(p.Conn, message{Isolation: p.Isolation, Value: request})
	var m struct {
		message
		Value json.RawMessage
	}
	if err == nil {
		err = readMessage(p.Conn, &m)
	}
	switch {
	case err != nil:
		p.Kill()
		return p.Isolation.explain(fmt.Errorf("starting a worker process: %w", errors.Join(p.Err(), err)))
	case m.NoProc:
		return errNoProc
	case m.Error != "":
		return errors.New(m.Error)
	}
	return json.Unmarshal(m.Value, answer)
}

// PID is the process's id on the machine.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err says how the process ended, with what it said last; nil when it ended well.
// It waits for the end.
func (p *Process) Err() error {
	<-p.ended
	if said := p.stderr.String(); p.err != nil && said != "" {
		return fmt.Errorf("%w\n%s", p.err, said)
	}
	return p.err
}

// ErrKilled is what Close returns when it had to kill the process.
var ErrKilled = errors.New("a worker process did not end in time and was killed")

// haste is what a process may take to end when nobody waits for it any more.
const haste = 500 * time.Millisecond

// Close closes the connection, at which the task ends. It kills the process when
// that takes longer than patience, or goes on after ctx has ended.
func (p *Process) Close(ctx context.Context, patience time.Duration) error {
	p.Conn.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.ended:
		return p.Err()
	case <-ctx.Done():
	}
	select {
	case <-p.ended:
		return p.Err()
	case <-time.After(haste):
	}
	p.Kill()
	return ErrKilled
}

// Kill ends the process, with all that it has started, and waits until it is gone.
func (p *Process) Kill() {
	p.Conn.Close()
	if !p.Isolation.Processes { // the kernel ends no other with it, so it has to
		p.cmd.Process.Signal(unix.SIGTERM) //nolint:errcheck // it may be gone already
		select {
		case <-p.ended:
		case <-time.After(haste):
		}
	}
	p.cmd.Process.Kill() //nolint:errcheck // so it may
	<-p.ended
}

// socketPair makes a connection: one end for this process, one to give away.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "worker")
	ours, err := fileConn(fds[0])
	if err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// fileConn takes over a connected socket.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f) // a copy, closed on exec
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = t.kept[over:]
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
