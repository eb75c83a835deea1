// Package buildkit solves builds through BuildKit's own client: it sends the
// definition and the context, asks for a reproducible image, and turns BuildKit's
// status stream into events.
//
// It must never know what a key, a Dockerfile or a werf.yaml is, nor where the
// BuildKit on the other end runs: package embedded starts one here.
package buildkit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"slipway/stages"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/util/entitlements"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// SourceDate is the date of every file that a build adds and of the image
// itself, in Unix seconds: 1980-01-02 UTC, the first whole day that a zip
// archive can hold in every time zone. It is part of what makes a manifest a
// function of its inputs.
const SourceDate = 315619200

// Credentials finds what a registry host is to be shown; the zero value is
// nothing.
type Credentials func(ctx context.Context, host string) (auth.Credential, error)

// Solve runs b on the BuildKit behind c.
func Solve(ctx context.Context, c *client.Client, b stages.Build, creds Credentials) (ocispec.Descriptor, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	contexts := make(map[string]fsutil.FS, len(b.Contexts))
	for name, open := range b.Contexts {
		contexts[name] = open(cancel)
	}
	opt := client.SolveOpt{
		LocalMounts: contexts,
		Session:     []session.Attachable{authProvider(creds)},
		// The exporter compares the result with what was asked for.
		FrontendAttrs: map[string]string{"platform": platforms.FormatAll(b.Platform)},
		Internal:      true, // no build history: it would only grow
	}

	definition := b.Definition
	if b.CacheTo != nil {
		opt.CacheExports, definition = cacheExports(*b.CacheTo), b.CacheTo.Definition
	} else {
		export, err := exportEntry(b.Repo)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		opt.Exports = []client.ExportEntry{export}
	}
	more, err := attachables(b)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	opt.Session = append(opt.Session, more...)
	if b.HostNetwork {
		opt.AllowedEntitlements = append(opt.AllowedEntitlements, entitlements.EntitlementNetworkHost.String())
	}
	if b.Insecure {
		opt.AllowedEntitlements = append(opt.AllowedEntitlements, entitlements.EntitlementSecurityInsecure.String())
	}
	if b.LayoutStore != "" {
		store, err := newLayoutStore(b.Repo.Dir)
		if err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("opening layout %s: %w", b.Repo.Dir, err)
		}
		opt.OCIStores = map[string]content.Store{b.LayoutStore: store}
	}

	// Without this BuildKit takes the result for one of its own platform.
	resultPlatforms, err := json.Marshal(exptypes.Platforms{Platforms: []exptypes.Platform{
		{ID: platforms.FormatAll(b.Platform), Platform: b.Platform},
	}})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	progress := newProgress(ctx)
	progress.quiet = b.CacheTo != nil // every step is cached
	status := make(chan *client.SolveStatus)
	var group errgroup.Group
	group.Go(func() error {
		for s := range status {
			progress.status(s)
		}
		return nil
	})
	resp, err := c.Build(ctx, opt, "", func(ctx context.Context, gw gateway.Client) (*gateway.Result, error) {
		res, err := gw.Solve(ctx, gateway.SolveRequest{Definition: definition.ToPB(), Evaluate: true, CacheImports: cacheImports(b.CacheFrom)})
		if err != nil {
			return nil, err
		}
		res.AddMeta(exptypes.ExporterImageConfigKey, b.Config)
		if b.BaseConfig != nil {
			res.AddMeta(exptypes.ExporterImageBaseConfigKey, b.BaseConfig)
		}
		res.AddMeta(exptypes.ExporterPlatformsKey, resultPlatforms)
		return res, nil
	}, status)
	group.Wait() //nolint:errcheck // it returns nil
	if err != nil {
		if ctx.Err() != nil {
			return ocispec.Descriptor{}, fmt.Errorf("building %s: %w", b.Name, context.Cause(ctx))
		}
		return ocispec.Descriptor{}, progress.explain(b.Name, err)
	}
	if b.CacheTo != nil {
		return cacheDescriptor(resp)
	}
	return descriptor(resp)
}

// descriptor reads what the exporter says it has stored.
func descriptor(resp *client.SolveResponse) (ocispec.Descriptor, error) {
	var desc ocispec.Descriptor
	raw, err := base64.StdEncoding.DecodeString(resp.ExporterResponse[exptypes.ExporterImageDescriptorKey])
	if err != nil {
		return desc, fmt.Errorf("reading BuildKit's answer: %w", err)
	}
	if err := json.Unmarshal(raw, &desc); err != nil {
		return desc, fmt.Errorf("reading BuildKit's answer: %w", err)
	}
	// Annotations are BuildKit's notes on the build (a creation time among them).
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, nil
}

// imageAttrs are the exporter attributes that make the manifest a function of
// the definition: fixed dates, OCI media types, no attestations.
func imageAttrs() map[string]string {
	return map[string]string{
		string(exptypes.OptKeyOCITypes):         "true",
		string(exptypes.OptKeyRewriteTimestamp): "true",
		"source-date-epoch":                     strconv.Itoa(SourceDate),
	}
}

// attachables are what the session offers to RUNs: secrets and ssh.
func attachables(b stages.Build) ([]session.Attachable, error) {
	var out []session.Attachable
	if len(b.Secrets) > 0 {
		out = append(out, secretsprovider.NewSecretProvider(secretStore(b.Secrets)))
	}
	if len(b.SSH) > 0 {
		var agents []sshprovider.AgentConfig
		for _, s := range b.SSH {
			agents = append(agents, sshprovider.AgentConfig{ID: s.ID, Paths: s.Paths})
		}
		p, err := sshprovider.NewSSHAgentProvider(agents)
		if err != nil {
			return nil, fmt.Errorf("building %s: ssh: %w", b.Name, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// secretStore implements secrets.SecretStore.
type secretStore map[string][]byte

func (s secretStore) GetSecret(_ context.Context, id string) ([]byte, error) {
	data, ok := s[id]
	if !ok {
		return nil, fmt.Errorf("secret %q: %w", id, secrets.ErrNotFound)
	}
	return data, nil
}

func authProvider(creds Credentials) session.Attachable {
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: func(ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
			c, err := creds(ctx, host)
			return types.AuthConfig{
				Username: c.Username, Password: c.Password,
				IdentityToken: c.RefreshToken, RegistryToken: c.AccessToken,
			}, err
		},
	})
}
