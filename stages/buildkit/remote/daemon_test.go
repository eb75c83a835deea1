package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/oci"
	"slipway/stages"
	"slipway/stages/buildkit"

	controlapi "github.com/moby/buildkit/api/services/control"
	apitypes "github.com/moby/buildkit/api/types"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// control is what a BuildKit answers.
type control struct {
	controlapi.UnimplementedControlServer
	version string // "" stands for one that does not know the call
	solve   func(ctx context.Context) error

	mu     sync.Mutex
	silent bool
	end    context.Context // of the test
}

func (c *control) Info(ctx context.Context, _ *controlapi.InfoRequest) (*controlapi.InfoResponse, error) {
	c.mu.Lock()
	silent := c.silent
	c.mu.Unlock()
	if silent {
		select {
		case <-ctx.Done():
		case <-c.end.Done():
		}
		return nil, ctx.Err()
	}
	if c.version == "" {
		return nil, status.Error(codes.Unimplemented, "unknown method Info")
	}
	return &controlapi.InfoResponse{BuildkitVersion: &apitypes.BuildkitVersion{Version: c.version}}, nil
}

func (c *control) ListWorkers(context.Context, *controlapi.ListWorkersRequest) (*controlapi.ListWorkersResponse, error) {
	return &controlapi.ListWorkersResponse{Record: []*apitypes.WorkerRecord{{Platforms: []*pb.Platform{{OS: "linux", Architecture: "arm64"}}}}}, nil
}

func (c *control) Solve(ctx context.Context, _ *controlapi.SolveRequest) (*controlapi.SolveResponse, error) {
	return nil, c.solve(ctx)
}

// solveOnly is buildkit.Solve without all that goes on beside a solve.
func solveOnly(ctx context.Context, c *client.Client, b stages.Build, _ buildkit.Credentials) (ocispec.Descriptor, error) {
	_, err := c.ControlClient().Solve(ctx, &controlapi.SolveRequest{})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return ocispec.Descriptor{}, fmt.Errorf("building %s: %w", b.Name, &stages.SolveError{Err: err})
}

// serve returns the daemon of a control, and what kills it.
func serve(t *testing.T, c *control) (*daemon, *grpc.Server) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var stop context.CancelFunc
	c.end, stop = context.WithCancel(context.Background())
	server := grpc.NewServer()
	controlapi.RegisterControlServer(server, c)
	go server.Serve(listener) //nolint:errcheck // it ends with Stop
	address, err := ParseAddress("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(address, func(context.Context, string) (auth.Credential, error) { return auth.Credential{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	d.run = solveOnly
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
		stop()
		server.Stop()
	})
	return d, server
}

func solvable(t *testing.T) stages.Build {
	t.Helper()
	repo, err := oci.ParseReference("example.org/app")
	if err != nil {
		t.Fatal(err)
	}
	return stages.Build{Name: "app", Repo: repo, Definition: &llb.Definition{}}
}

func TestDaemonVersions(t *testing.T) {
	for version, want := range map[string]string{
		"":               "its BuildKit is older than 0.11: 0.14.1 or newer is needed",
		"v0.12.5":        "its BuildKit is v0.12.5: 0.14.1 or newer is needed",
		"0.13.2+dfsg":    "its BuildKit is 0.13.2+dfsg: 0.14.1 or newer is needed",
		"v0.14.1":        "",
		"v0.34.2-docker": "",
		"v0.0.0+unknown": "", // built from source
		"5e72b2a0b1c2.m": "",
	} {
		d, _ := serve(t, &control{version: version})
		platforms, err := d.connect(t.Context())
		if want == "" && (err != nil || joinPlatforms(platforms) != "linux/arm64") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: platforms %v, %v; want %q", version, platforms, err, want)
		}
	}
}

// What a builder says is the end of a build, whatever gRPC's code; what the
// connection says is the end of the builder.
func TestDaemonTellsItsEndFromTheBuilds(t *testing.T) {
	var c *control
	var server *grpc.Server
	answers := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	for _, test := range []struct {
		name  string
		solve func(context.Context) error
		lost  string // "" means that it is not
		want  string
	}{
		{"exit code", answers(status.Error(codes.Unknown, "exit code: 1")), "", "exit code: 1"},
		{"a registry is not there", answers(status.Error(codes.Unavailable, "registry: connection refused")), "", "connection refused"},
		{"a registry goes away", answers(status.Error(codes.Unavailable, "unexpected EOF")), "", "unexpected EOF"},
		{"a registry is slow", answers(status.Error(codes.DeadlineExceeded, "deadline exceeded")), "", "deadline exceeded"},
		{"not allowed", answers(errors.New("granting entitlement network.host is not allowed by build daemon configuration")), "", "--allow-insecure-entitlement network.host"},
		{"plain HTTP", answers(errors.New("http: server gave HTTP response to HTTPS client")), "", "in its buildkitd.toml, with http = true"},
		{"it is killed", func(ctx context.Context) error { go server.Stop(); <-ctx.Done(); return ctx.Err() }, "connection lost: the builder closed the connection", ""},
		{"it falls silent", func(ctx context.Context) error {
			c.mu.Lock()
			c.silent = true
			c.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-c.end.Done():
			}
			return ctx.Err()
		}, "no answer for 50ms", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c = &control{version: "v0.34.2", solve: test.solve}
			var d *daemon
			d, server = serve(t, c)
			if _, err := d.connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(test.lost, "50ms") {
				d.interval, d.patience = time.Millisecond, 50*time.Millisecond
			}
			_, err := d.solve(t.Context(), solvable(t))
			var end *lostError
			switch {
			case errors.As(err, &end) != (test.lost != ""):
				t.Errorf("got %v", err)
			case test.lost != "" && end.Error() != test.lost:
				t.Errorf("got %q, want %q", end, test.lost)
			case !strings.Contains(err.Error(), test.want):
				t.Errorf("got %q, want %q", err, test.want)
			}
			if test.lost == "" {
				return
			}
			c.mu.Lock()
			c.silent = true // what is gone says nothing
			c.mu.Unlock()
			if _, err := d.solve(t.Context(), solvable(t)); !errors.As(err, &end) {
				t.Errorf("the next build says %v", err)
			}
		})
	}
}

// Ctrl-C is neither.
func TestDaemonStops(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	d, _ := serve(t, &control{version: "v0.34.2", solve: func(ctx context.Context) error {
		cancel(errors.New("stopped"))
		<-ctx.Done()
		return ctx.Err()
	}})
	if _, err := d.connect(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := d.solve(ctx, solvable(t))
	var end *lostError
	if err == nil || errors.As(err, &end) || !strings.HasSuffix(err.Error(), "stopped") {
		t.Errorf("got %v", err)
	}
}

func TestPlainly(t *testing.T) {
	for text, want := range map[string]string{
		"connection reset": "connection reset",
		"command [kubectl exec] has exited with exit status 1, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=no such pod\n": "command [kubectl exec] has exited with exit status 1: no such pod",
	} {
		if got := plainly(errors.New(text)); got.Error() != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := plainly(io.EOF); !strings.Contains(got.Error(), "closed") {
		t.Errorf("EOF becomes %q", got)
	}
}
