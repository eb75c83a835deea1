package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"slipway/oci"
	"slipway/stages/buildkit/embedded/wire"
	"slipway/stages/buildkit/host"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	bkoci "github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/util/resolver"
	resolverconfig "github.com/moby/buildkit/util/resolver/config"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
)

// newController assembles what buildkitd's main assembles, less what a run of
// seconds has no use for: frontends, history, traces.
func newController(d *daemon, root string, s *oci.Session, o wire.Options, isolation host.Isolation) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	name := o.Snapshotter
	if name == "" {
		name, _ = isolation.Snapshotter(root)
	}
	processes := bkoci.ProcessSandbox
	if !isolation.Processes {
		processes = bkoci.NoProcessSandbox
	}
	opt, err := runc.NewWorkerOpt(root, snapshotter(name), rootless(isolation), processes, nil, nil,
		netproviders.Opt{Mode: "host"}, nil, o.Runtime, "", false, nil, "", "", nil)
	if err != nil {
		return nil, fmt.Errorf("opening the state in %s: %w", root, err)
	}
	opt.GCPolicy = d.limit.Policy(root)
	opt.RegistryHosts = registryHosts(s)
	exec := &drained{Executor: opt.Executor}
	opt.Executor = exec
	w, err := base.NewWorker(context.Background(), opt)
	if err != nil {
		return nil, err
	}
	caching, err := d.cacheMounts(root, w)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(caching); err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(root, "cache.db"))
	if err != nil {
		return nil, err
	}
	d.stop = append(d.stop, cache.Close)
	keys := solver.NewCacheManager(context.Background(), "local", cache, worker.NewCacheResultStorage(workers))
	d.cache = &layers{w, keys}
	history, err := boltutil.SafeOpen(filepath.Join(root, "history.db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	c, err := control.NewController(control.Opt{
		SessionManager:            sessions,
		WorkerController:          workers,
		ResolveCacheImporterFuncs: cacheImporters(sessions, w.ContentStore(), opt.RegistryHosts),
		ResolveCacheExporterFuncs: cacheExporters(sessions, w.ContentStore(), opt.RegistryHosts),
		Frontends:                 map[string]frontend.Frontend{},
		CacheManager:              keys,
		HistoryDB:                 history,
		CacheStore:                cache,
		LeaseManager:              w.LeaseManager(),
		ContentStore:              w.ContentStore(),
		GarbageCollect:            w.GarbageCollect,
		GracefulStop:              make(chan struct{}),
		// Each build says which of them it may use.
		Entitlements:  []string{entitlements.EntitlementNetworkHost.String(), entitlements.EntitlementSecurityInsecure.String()},
		HistoryConfig: &config.HistoryConfig{MaxEntries: new(int64)},
	})
	if err != nil {
		return nil, err
	}
	d.stop = append(d.stop, history.Close, c.Close, exec.wait)
	return c, nil
}

// registryHosts makes BuildKit reach registries as the session does.
func registryHosts(s *oci.Session) docker.RegistryHosts {
	return func(host string) ([]docker.RegistryHost, error) {
		ctx := context.Background() // the signature has none
		hosts := map[string]resolverconfig.RegistryConfig{host: registryConfig(s.PlainHTTP(ctx, host), s.SkipTLSVerify())}
		if host == "docker.io" {
			c := hosts[host]
			for _, m := range s.Mirrors(ctx) {
				c.Mirrors = append(c.Mirrors, path.Join(m.Host, m.Prefix))
				hosts[m.Host] = registryConfig(m.PlainHTTP, m.SkipVerify)
			}
			hosts[host] = c
		}
		return resolver.NewRegistryConfig(hosts)(host)
	}
}

func registryConfig(plainHTTP, skipVerify bool) resolverconfig.RegistryConfig {
	return resolverconfig.RegistryConfig{PlainHTTP: &plainHTTP, Insecure: &skipVerify}
}

func newServer() *grpc.Server {
	return grpc.NewServer(
		grpc.WaitForHandlers(true), // Stop means that nothing is being solved any more
		grpc.UnaryInterceptor(grpcerrors.UnaryServerInterceptor),
		grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
		grpc.MaxSendMsgSize(defaults.DefaultMaxSendMsgSize),
	)
}

// redirectLogs sends what BuildKit and containerd log, to the one logger that
// they share, into a file beside the state: it is for the day something breaks,
// not for the user's screen.
func redirectLogs(d *daemon, root string) error {
	f, err := os.Create(filepath.Join(root, "buildkit.log"))
	if err != nil {
		return err
	}
	logrus.SetOutput(f)
	d.stop = append(d.stop, func() error {
		logrus.SetOutput(io.Discard)
		return f.Close()
	})
	return nil
}
