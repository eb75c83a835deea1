package testenv

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BuildkitdServer is a BuildKit daemon as users run it, of the version of
// .ci/tools/go.mod, in a network, process and mount namespace of its own: it is in
// nobody's way, and nothing that it started or mounted outlives it.
type BuildkitdServer struct {
	Address string // "unix://PATH"
	Host    string // "127.0.0.1:PORT", with BuildkitdOptions.Listens

	t       testing.TB
	process *os.Process // unshare, whose end is the daemon's
	log     string
	ended   chan struct{}
}

// BuildkitdOptions configure a daemon; the zero value does, and reaches nothing.
type BuildkitdOptions struct {
	Config string   // of buildkitd.toml
	Args   []string // more arguments
	// Reaches are what the daemon reaches under the same address that it has here,
	// "127.0.0.1:PORT". The rest of the daemon's network is empty.
	Reaches []string
	// Listens gives the daemon a listener on loopback, which it uses if Args have
	// "--addr fd://".
	Listens bool
}

// Buildkitd starts a daemon; it ends with the test. A user without privileges gets a
// rootless one, in a user namespace.
func Buildkitd(t testing.TB, o BuildkitdOptions) *BuildkitdServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "buildkitd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &BuildkitdServer{t: t, Address: "unix://" + dir + "/sock", log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	if err := os.WriteFile(filepath.Join(dir, "buildkitd.toml"), []byte(o.Config), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(userNamespaceArgs(), "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child", program(t, "emptynet", "./cmd/internal/testenv/emptynet"))
	args = append(append(args, o.Reaches...), "--", Tool(t, "buildkitd"), "--config", filepath.Join(dir, "buildkitd.toml"),
		"--root", filepath.Join(dir, "state"), "--addr", s.Address, "--otel-socket-path", filepath.Join(dir, "otel"), "--oci-worker-net", "host")
	cmd := exec.Command(Tool(t, "unshare"), append(args, o.Args...)...)
	cmd.Env = append(baseEnv(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir) // where a rootless runc keeps its state
	if cmd.Stderr, err = os.Create(s.log); err != nil {
		t.Fatal(err)
	}
	if o.Listens {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Host = listener.Addr().String()
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{file}
		defer func() { file.Close(); listener.Close() }() // the daemon has its own
	}
	started := make(chan error)
	go s.run(cmd, o.Reaches, started)
	if err := <-started; err != nil {
		text, _ := os.ReadFile(s.log)
		t.Fatalf("starting buildkitd: %v\n%s", err, text)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("%s said:\n%s", s.Address, text)
		}
		if err := removeAll(dir); err != nil {
			t.Errorf("removing what a buildkitd left: %v", err)
		}
	})
	s.await()
	return s
}

// run starts the daemon, and what stands for the hosts that it reaches, and waits
// for its end. It has a thread of its own, whose end, whatever ends the test, ends
// the daemon.
func (s *BuildkitdServer) run(cmd *exec.Cmd, reaches []string, started chan<- error) {
	runtime.LockOSThread()
	defer close(s.ended)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	listeners, err := startInNetwork(cmd, len(reaches))
	s.process = cmd.Process
	for i, listener := range listeners {
		defer listener.Close()
		// A connection is of the network in which it was dialled, which is the test's.
		go relay(listener, func() (net.Conn, error) { return net.Dial("tcp", reaches[i]) })
	}
	started <- err
	if cmd.Process != nil {
		_ = cmd.Wait() // how it ends is the test's doing
	}
}

// startInNetwork starts a command that runs emptynet, and returns what that hands
// out: the listeners of the network that the command is in.
func startInNetwork(cmd *exec.Cmd, count int) (listeners []net.Listener, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	here, there := os.NewFile(uintptr(pair[0]), "here"), os.NewFile(uintptr(pair[1]), "there")
	defer here.Close()
	cmd.Stdin = there
	err = cmd.Start()
	there.Close()
	if err != nil {
		return nil, err
	}
	oob := make([]byte, unix.CmsgSpace(4*count))
	n, oobn, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil, errors.Join(errors.New("it ended"), err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return listeners, err
		}
		for _, fd := range fds {
			file := os.NewFile(uintptr(fd), "listener")
			listener, err := net.FileListener(file)
			file.Close()
			if err != nil {
				return listeners, err
			}
			listeners = append(listeners, listener)
		}
	}
	return listeners, nil
}

// relay passes connections on to what dial makes.
func relay(listener net.Listener, dial func() (net.Conn, error)) {
	for {
		in, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := dial()
			if err != nil {
				return
			}
			defer out.Close()
			var both sync.WaitGroup
			for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
				both.Go(func() {
					_, _ = io.Copy(c[0], c[1])
					_ = c[0].(*net.TCPConn).CloseWrite()
				})
			}
			both.Wait()
		}()
	}
}

// await waits until the daemon listens.
func (s *BuildkitdServer) await() {
	s.t.Helper()
	path := strings.TrimPrefix(s.Address, "unix://")
	for range 600 {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-s.ended:
			text, _ := os.ReadFile(s.log)
			s.t.Fatalf("buildkitd ended:\n%s", text)
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Fatal("buildkitd does not listen after 30 seconds")
}

// Kill ends the daemon and all that it runs as kill -9 does.
func (s *BuildkitdServer) Kill() {
	if err := s.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("killing buildkitd: %v", err)
	}
	<-s.ended
	// The process was the parent of the daemon's, which the kernel kills then and
	// which is gone a moment later.
	for range 600 {
		conn, err := net.Dial("unix", strings.TrimPrefix(s.Address, "unix://"))
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Error("a killed buildkitd still answers")
}

// Log is what the daemon has said.
func (s *BuildkitdServer) Log() string {
	s.t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(fmt.Errorf("reading buildkitd's log: %w", err))
	}
	return string(text)
}
