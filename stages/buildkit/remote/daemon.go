package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway/stages"
	"slipway/stages/buildkit"

	"github.com/Masterminds/semver/v3"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/grpcerrors"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
)

// oldest is the first BuildKit that pushes layers with fixed dates and leaves the
// layers of base images as they are.
var oldest = semver.MustParse("0.14.1")

// daemon is a BuildKit at an address. It implements builder.
type daemon struct {
	address     Address
	credentials buildkit.Credentials
	line        *line
	tls         credentials.TransportCredentials // nil: as the line is
	client      *client.Client                   // nil before connect
	run         func(context.Context, *client.Client, stages.Build, buildkit.Credentials) (ocispec.Descriptor, error)

	// A builder that says nothing for so long is lost; it is asked so often. What
	// is asked takes it no time, however busy it is.
	patience, interval time.Duration
}

func newDaemon(a Address, creds buildkit.Credentials) (*daemon, error) {
	dial, err := dialer(a)
	if err != nil {
		return nil, err
	}
	transport, err := a.transport()
	if err != nil {
		return nil, err
	}
	return &daemon{
		address: a, credentials: creds, line: &line{dial: dial}, tls: transport, run: buildkit.Solve,
		patience: 30 * time.Second, interval: 10 * time.Second,
	}, nil
}

func (d *daemon) connect(ctx context.Context) ([]ocispec.Platform, error) {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	opts := []client.ClientOpt{
		client.WithContextDialer(d.line.connect),
		// An idle line stays up, so that one that ends means something.
		client.WithGRPCDialOption(grpc.WithIdleTimeout(0)),
		client.WithGRPCDialOption(grpc.WithNoProxy()),
	}
	if d.tls != nil {
		opts = append(opts, client.WithGRPCDialOption(grpc.WithTransportCredentials(d.tls)))
	}
	if d.address.serverName != "" {
		opts = append(opts, client.WithGRPCDialOption(grpc.WithAuthority(d.address.serverName)))
	}
	c, err := client.New(ctx, d.address.Name, opts...)
	if err != nil {
		return nil, err
	}
	d.client = c
	if err := d.checkVersion(ctx); err != nil {
		return nil, err
	}
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return nil, d.reason(err)
	}
	if len(workers) == 0 {
		return nil, nil
	}
	return workers[0].Platforms, nil // the first one is the default
}

func (d *daemon) checkVersion(ctx context.Context) error {
	info, err := d.client.Info(ctx)
	if grpcerrors.Code(err) == codes.Unimplemented {
		return fmt.Errorf("its BuildKit is older than 0.11: %s or newer is needed", oldest)
	}
	if err != nil {
		return d.reason(err)
	}
	// One that was built from source says 0.0.0+unknown, or nothing.
	v, err := semver.NewVersion(info.BuildkitVersion.Version)
	if err == nil && v.LessThan(oldest) && v.Metadata() != "unknown" {
		return fmt.Errorf("its BuildKit is %s: %s or newer is needed", info.BuildkitVersion.Version, oldest)
	}
	return nil
}

func (d *daemon) solve(ctx context.Context, b stages.Build) (ocispec.Descriptor, error) {
	// The line may have ended, or may have to be made again, since the last build.
	if err := d.ask(ctx); err != nil {
		return ocispec.Descriptor{}, &lostError{err}
	}
	before := d.line.state()
	solving, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go d.watch(solving, cancel)
	desc, err := d.run(solving, d.client, b, d.credentials)
	if err == nil {
		return desc, nil
	}
	var silent *lostError
	if errors.As(context.Cause(solving), &silent) {
		return desc, silent
	}
	// gRPC's codes do not tell the end of a builder from that of a registry, which
	// a build that failed may report, too. The line itself does.
	if loss := d.line.since(before); loss != nil {
		return desc, &lostError{fmt.Errorf("connection lost: %w", loss)}
	}
	return desc, d.explain(b, err)
}

// ask makes sure that the builder answers.
func (d *daemon) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	_, err := d.client.Info(ctx)
	return d.reason(err)
}

// watch ends a solve whose builder has fallen silent: a machine that is gone closes
// no connection.
func (d *daemon) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d.interval):
		}
		asked, done := context.WithTimeout(ctx, d.patience)
		_, err := d.client.Info(asked)
		silent := err != nil && asked.Err() != nil && ctx.Err() == nil
		done()
		if silent {
			cancel(&lostError{fmt.Errorf("no answer for %s", d.patience)})
			return
		}
	}
}

// reason makes an error of a connection short.
func (d *daemon) reason(err error) error {
	switch {
	case err == nil:
		return nil
	case grpcerrors.Code(err) == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer for %s", d.patience)
	case grpcerrors.Code(err) != codes.Unavailable:
		return err
	}
	message := err.Error()
	if st, ok := grpcerrors.AsGRPCStatus(err); ok {
		message = st.Message()
	}
	if _, handshake, ok := strings.Cut(message, "authentication handshake failed: "); ok {
		return errors.New("TLS: " + strings.TrimSuffix(handshake, `"`))
	}
	// What the line met is what gRPC wraps.
	if cause := d.line.last(); cause != nil {
		return cause
	}
	return errors.New(message)
}

// explain says what a builder's own configuration has to do with a failure.
func (d *daemon) explain(b stages.Build, err error) error {
	var failed *stages.SolveError
	if !errors.As(err, &failed) {
		return err
	}
	advice := ""
	switch message := failed.Err.Error(); {
	case strings.Contains(message, "is not allowed by build daemon configuration"):
		advice = "start its buildkitd with --allow-insecure-entitlement network.host, or build without network: host"
	case strings.Contains(message, "server gave HTTP response to HTTPS client"):
		advice = "builders reach registries as their own configuration says: name the registry in its buildkitd.toml, with http = true"
	default:
		return err
	}
	explained := *failed
	explained.Err = fmt.Errorf("%s: %w; %s", d.address.Name, failed.Err, advice)
	return &explained
}

func (d *daemon) close() error {
	if d.client == nil {
		return nil
	}
	return d.client.Close()
}
