// Package embedded has BuildKit run in a process of its own: package worker, in the
// namespaces that package host makes. Linux only.
//
// It must never know what is built: BuildKit is started, is driven through its
// ordinary client by package buildkit, and is closed.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages"
	"slipway/stages/buildkit"
	"slipway/stages/buildkit/embedded/wire"
	"slipway/stages/buildkit/host"
	"slipway/stages/buildkit/state"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

// Options configure the embedded BuildKit. StateDir is required.
type Options struct {
	// StateDir holds BuildKit's state. Runs that overlap take one slot each
	// below it, since BuildKit's stores belong to one process at a time.
	StateDir string
	// Limit is how much all slots together may take.
	Limit state.Limit
	// Snapshotter is how layers are laid over each other, by a name of package
	// host; empty is the best that works.
	Snapshotter string
	// Session says how registries are reached: mirrors, plain HTTP, credentials.
	Session *oci.Session
	// CacheMounts is as wire.Options have it.
	CacheMounts string
	// Program calls Main of package worker.
	Program host.Program
}

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
	runs, err := runPlatforms(b)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	runtime, err := ociRuntime(len(runs) > 0)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := s.start(ctx, runtime)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("starting BuildKit: %w", s.advise(err))
	}
	desc, err := d.solve(ctx, b, runs, s.opts.Session.Credential)
	if err != nil {
		return ocispec.Descriptor{}, s.advise(d.explain(ctx, err))
	}
	return desc, nil
}

// advise adds to an error what to do about a state directory that cannot be
// written to. The worker's errors are text.
func (s *Solver) advise(err error) error {
	text, dir := err.Error(), s.opts.StateDir
	is := func(cause unix.Errno) bool { return strings.Contains(text, cause.Error()) }
	switch {
	case !strings.Contains(text, dir):
	case is(unix.ENOSPC), is(unix.EDQUOT):
		err = fmt.Errorf("%w\nBuilds have no more room for their state in %s: make some (slipway host prune), or put it elsewhere with XDG_STATE_HOME", err, dir)
	case is(unix.EACCES), is(unix.EROFS):
		err = fmt.Errorf("%w\nBuilds have their state in %s: make it writable for you, or put it elsewhere with XDG_STATE_HOME", err, dir)
	}
	return err
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

// ociRuntime finds the runtime that RUNs need. Without a RUN nothing is ever run,
// so this program itself stands in for the binary that BuildKit insists on
// finding.
func ociRuntime(runs bool) (string, error) {
	path, err := host.Runtime()
	if err == nil || runs {
		return path, err
	}
	return os.Executable()
}

// runPlatforms are the platforms of a build's RUNs.
func runPlatforms(b stages.Build) (out []ocispec.Platform, err error) {
	ops, err := b.Operations()
	for _, op := range ops {
		if op.GetExec() != nil {
			out = append(out, op.GetPlatform().Spec())
		}
	}
	return out, err
}

// checkEmulation says what RUNs of foreign platforms need. BuildKit is asked, as
// only root can try; it costs some milliseconds and so is left to builds for other
// platforms.
func checkEmulation(ctx context.Context, c *client.Client, runs []ocispec.Platform) error {
	foreign := slices.DeleteFunc(runs, func(p ocispec.Platform) bool {
		return p.Architecture == "" || platforms.Default().Match(p)
	})
	if len(foreign) == 0 {
		return nil
	}
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return fmt.Errorf("asking BuildKit for its platforms: %w", err)
	}
	for _, p := range foreign {
		if !slices.ContainsFunc(workers, func(w *client.WorkerInfo) bool {
			return slices.ContainsFunc(w.Platforms, func(has ocispec.Platform) bool { return platforms.OnlyStrict(has).Match(p) })
		}) {
			return fmt.Errorf("a RUN for %s needs emulation, which this machine lacks: install it (on Debian and Ubuntu: apt-get install qemu-user-static), build on a machine of that platform, or cross-build (FROM --platform=$BUILDPLATFORM)", platforms.FormatAll(p))
		}
	}
	return nil
}

// daemon is a running BuildKit.
type daemon struct {
	client  *client.Client
	process *host.Process
	run     context.Context // when it has ended, nobody waits
}

func (d *daemon) solve(ctx context.Context, b stages.Build, runs []ocispec.Platform, creds buildkit.Credentials) (ocispec.Descriptor, error) {
	single := d.process.Isolation.Single
	if single != "" && len(runs) > 0 {
		// Many a program goes on after it could not give a file to another user:
		// the image would be another one than elsewhere.
		return ocispec.Descriptor{}, fmt.Errorf("a RUN needs more user ids than your own: %s", single)
	}
	if err := checkEmulation(ctx, d.client, runs); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err := buildkit.Solve(ctx, d.client, b, creds)
	if err != nil && single != "" && strings.Contains(err.Error(), "invalid argument") { // what chown says
		err = fmt.Errorf("%w\nFiles of other users than root need more user ids than your own: %s", err, single)
	}
	return desc, err
}

// closePatience is how long BuildKit may take to end: containers that have been
// killed may take a while to be gone, and so may large layers that are collected.
const closePatience = time.Minute

func (d *daemon) close() error {
	err := d.client.Close()
	if end := d.process.Close(d.run, closePatience); !errors.Is(end, host.ErrKilled) { // else the next run clears away
		err = errors.Join(err, end)
	}
	return err
}

// explain replaces a build's error by the end of BuildKit itself, if that is what
// stands behind it.
func (d *daemon) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	if _, gone := d.client.Info(ctx); gone == nil {
		return err
	}
	select {
	case <-d.process.Ended():
		return fmt.Errorf("BuildKit's process has ended: %v", d.process.Err())
	case <-ctx.Done():
		return err
	}
}

func startDaemon(ctx context.Context, opts Options, runtime string) (*daemon, error) {
	dir, err := filepath.Abs(opts.StateDir)
	if err != nil {
		return nil, err
	}
	logrus.SetOutput(io.Discard) // BuildKit's client has nothing to say to the user's screen
	var answer wire.Started
	p, err := host.Start(ctx, opts.Program, wire.Task, wire.Options{StateDir: dir, Owner: os.Getpid(), Limit: opts.Limit, Runtime: runtime, Snapshotter: opts.Snapshotter, Registries: opts.Session.Options(), CacheMounts: opts.CacheMounts}, &answer)
	if err != nil {
		return nil, err
	}
	for _, note := range answer.Notes {
		engine.Emit(ctx, engine.Event{Kind: engine.EventNote, Text: note})
	}
	conns := make(chan net.Conn, 1)
	conns <- p.Conn
	c, err := client.New(ctx, "unix:///embedded", client.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		select {
		case conn := <-conns:
			return conn, nil
		default:
			return nil, errors.New("the connection to BuildKit's process has ended")
		}
	}), client.WithGRPCDialOption(grpc.WithNoProxy()))
	if err != nil {
		return nil, errors.Join(err, p.Close(ctx, closePatience))
	}
	return &daemon{client: c, process: p, run: ctx}, nil
}
