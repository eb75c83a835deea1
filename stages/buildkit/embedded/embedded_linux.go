// Package embedded runs BuildKit inside this process: worker, solver and the
// gRPC control service over an in-memory listener. Linux only.
//
// It must never know what is built: it starts, is driven through BuildKit's
// ordinary client by package buildkit, and is closed.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"slipway/oci"
	"slipway/stages"
	"slipway/stages/buildkit"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/archutil"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// Options configure the embedded BuildKit. StateDir is required.
type Options struct {
	// StateDir holds BuildKit's state. Runs that overlap take one slot each
	// below it, since BuildKit's stores belong to one process at a time.
	StateDir string
	// Session says how registries are reached: mirrors, plain HTTP, credentials.
	Session *oci.Session
	// CacheMounts is the directory that holds the cache mounts of RUNs; "" is
	// BuildKit's state, NoCacheMounts nowhere: they begin empty in every run.
	CacheMounts string
}

// NoCacheMounts is for Options.CacheMounts.
const NoCacheMounts = "off"

// Solver is a stages.Solver that starts BuildKit on the first Solve. Close it.
type Solver struct {
	opts Options

	mu     sync.Mutex
	daemon *daemon
	closed bool
}

// New makes a solver; nothing is started.
func New(opts Options) *Solver { return &Solver{opts: opts} }

// Solve builds b, starting BuildKit if this is the first build of the run.
func (s *Solver) Solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	runtime, err := ociRuntime(b.Definition.Def)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := s.start(ctx, runtime)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("starting BuildKit: %w", err)
	}
	return buildkit.Solve(ctx, d.client, b, s.opts.Session.Credential)
}

// Close stops BuildKit if it was started.
func (s *Solver) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.daemon == nil {
		return nil
	}
	d := s.daemon
	s.daemon = nil
	return d.close()
}

func (s *Solver) start(ctx context.Context, runtime string) (*daemon, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the run has ended")
	}
	if s.daemon != nil {
		return s.daemon, nil
	}
	d, err := startDaemon(ctx, s.opts, runtime)
	if err != nil {
		return nil, err
	}
	s.daemon = d
	return d, nil
}

// runtimes are the OCI runtimes to look for, the preferred one first.
var runtimes = []string{"runc", "crun"}

// ErrNoRuntime is returned for a build with a RUN on a machine without an OCI
// runtime.
var ErrNoRuntime = errors.New("no OCI runtime found: RUN instructions need runc or crun in PATH (on Debian and Ubuntu: apt-get install runc)")

// ociRuntime finds the runtime that the definition's RUNs need. A definition
// without a RUN never runs anything, so this program itself stands in for the
// binary that BuildKit insists on finding.
func ociRuntime(def [][]byte) (string, error) {
	runs, err := runPlatforms(def)
	if err != nil {
		return "", err
	}
	for _, p := range runs {
		if err := checkEmulation(p); err != nil {
			return "", err
		}
	}
	for _, name := range runtimes {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	if len(runs) > 0 {
		return "", ErrNoRuntime
	}
	return os.Executable()
}

// runPlatforms are the platforms of a definition's RUNs.
func runPlatforms(def [][]byte) ([]ocispec.Platform, error) {
	var out []ocispec.Platform
	for _, dt := range def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return nil, fmt.Errorf("reading the build definition: %w", err)
		}
		if op.GetExec() != nil {
			out = append(out, op.GetPlatform().Spec())
		}
	}
	return out, nil
}

// checkEmulation says what a RUN of a foreign platform needs. Asking the machine
// costs some milliseconds and so is left to builds for other platforms.
func checkEmulation(p ocispec.Platform) error {
	if p.Architecture == "" || platforms.Default().Match(p) {
		return nil
	}
	for _, supported := range archutil.SupportedPlatforms(false) {
		if platforms.OnlyStrict(supported).Match(p) {
			return nil
		}
	}
	name := platforms.FormatAll(p)
	return fmt.Errorf("a RUN for %s needs emulation, which this machine lacks: install it (on Debian and Ubuntu: apt-get install qemu-user-static), build on a machine of that platform, or cross-build (FROM --platform=$BUILDPLATFORM)", name)
}

// daemon is a running BuildKit.
type daemon struct {
	client *client.Client
	stop   []func() error // in the order of starting; run backwards
}

func (d *daemon) close() error {
	var errs []error
	for i := len(d.stop) - 1; i >= 0; i-- {
		errs = append(errs, d.stop[i]())
	}
	return errors.Join(errs...)
}

func startDaemon(ctx context.Context, opts Options, runtime string) (_ *daemon, err error) {
	d := &daemon{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if os.Geteuid() != 0 {
		return nil, errors.New("images can be built by root only, for now: run this as root, or publish what has been built with --require-built-images")
	}
	root, release, err := takeSlot(filepath.Join(opts.StateDir, "buildkit"))
	if err != nil {
		return nil, err
	}
	// The kernel lists mounts by their resolved paths.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, errors.Join(err, release())
	}
	d.stop = append(d.stop, release, func() error { return unmountBelow(root) })
	if err := unmountBelow(root); err != nil {
		return nil, err
	}
	if err := redirectLogs(d, root); err != nil {
		return nil, err
	}
	controller, err := newController(d, root, opts, runtime)
	if err != nil {
		return nil, err
	}

	listener := bufconn.Listen(1 << 20)
	server := newServer()
	controller.Register(server)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) //nolint:errcheck // it ends when Stop is called
	}()
	d.stop = append(d.stop, func() error {
		server.Stop()
		<-served
		return nil
	})
	d.client, err = client.New(ctx, "unix:///embedded", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}), client.WithGRPCDialOption(grpc.WithNoProxy()))
	if err != nil {
		return nil, err
	}
	d.stop = append(d.stop, d.client.Close)
	return d, nil
}
