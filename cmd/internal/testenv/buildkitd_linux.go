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
	Host    string // "127.0.0.1:PORT", which leads to BuildkitdOptions.Port

	t       testing.TB
	process *os.Process // unshare, whose end is the daemon's
	relays  []net.Listener
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
	// Port of loopback is what the daemon listens on besides, if Args say so.
	Port int
}

// Buildkitd starts a daemon; it ends with the test. It needs root.
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
	args := append([]string{
		"--pid", "--mount", "--mount-proc", "--fork", "--kill-child", Tool(t, "buildkitd"), "--config", filepath.Join(dir, "buildkitd.toml"),
		"--root", filepath.Join(dir, "state"), "--addr", s.Address, "--otel-socket-path", filepath.Join(dir, "otel"), "--oci-worker-net", "host",
	}, o.Args...)
	cmd := exec.Command(Tool(t, "unshare"), args...)
	cmd.Env = append(baseEnv(), "HOME="+dir)
	if cmd.Stderr, err = os.Create(s.log); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go s.run(cmd, o, started)
	if err := <-started; err != nil {
		t.Fatalf("starting buildkitd: %v", err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("%s said:\n%s", s.Address, text)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing what a buildkitd left: %v", err)
		}
	})
	s.await()
	return s
}

// run starts the daemon, and what stands for the hosts that it reaches, in a
// network namespace. A thread that has been in one is good for nothing else: it
// ends with the goroutine, which never unlocks it.
func (s *BuildkitdServer) run(cmd *exec.Cmd, o BuildkitdOptions, started chan<- error) {
	runtime.LockOSThread()
	defer close(s.ended)
	err := s.network(o)
	// Whatever ends the test ends this thread, and that ends the daemon.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err == nil {
		err = cmd.Start()
	}
	s.process = cmd.Process
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ends is the test's doing
	}
	for _, listener := range s.relays {
		_ = listener.Close()
	}
}

// network moves the thread into a new network with what the options want in it.
func (s *BuildkitdServer) network(o BuildkitdOptions) error {
	if o.Port != 0 { // listens before the thread leaves
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.relays, s.Host = append(s.relays, listener), listener.Addr().String()
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	for _, host := range o.Reaches {
		listener, err := net.Listen("tcp", host)
		if err != nil {
			return err
		}
		s.relays = append(s.relays, listener)
		// A connection is of the network in which it was dialled, and other
		// goroutines have never left that of the test.
		go relay(listener, func() (net.Conn, error) { return net.Dial("tcp", host) })
	}
	if o.Port == 0 {
		return nil
	}
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	s.t.Cleanup(func() { namespace.Close() })
	go relay(s.relays[0], func() (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good, too
			if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err == nil {
				conn, err = net.Dial("tcp", fmt.Sprint("127.0.0.1:", o.Port))
			}
		}()
		<-done
		return conn, err
	})
	return nil
}

// loopbackUp is "ip link set lo up" in the thread's network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
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
