package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// credentialStore reads the Docker configuration, and asks its credential
// helpers, when a registry first wants to know who is there: most runs against
// a local registry or layout never do.
type credentialStore struct {
	path     string
	homeless error                      // there is no home that path could be in
	first    func() (configFile, error) // what path has before store reads it
	store    func() (credentials.Store, error)

	mu    sync.Mutex
	found map[string]bool // by registry host, once asked for
}

func newCredentialStore(dir string) *credentialStore {
	if dir == "" {
		dir = os.Getenv("DOCKER_CONFIG")
	}
	var homeless error // without a home there is no configuration
	if dir == "" {
		var home string
		home, homeless = os.UserHomeDir()
		dir = filepath.Join(home, ".docker")
	}
	c := &credentialStore{path: filepath.Join(dir, "config.json"), homeless: homeless, found: map[string]bool{}}
	c.first = sync.OnceValues(func() (configFile, error) { return readConfigFile(c.path) })
	c.store = sync.OnceValues(func() (credentials.Store, error) {
		_, _ = c.first() // an error is the store's, too
		return credentials.NewStore(c.path, credentials.StoreOptions{})
	})
	return c
}

// get is the auth client's auth.CredentialFunc.
func (c *credentialStore) get(ctx context.Context, registry string) (auth.Credential, error) {
	store, err := c.store()
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("reading the Docker configuration %s: %w", c.path, err)
	}
	credential, err := credentials.Credential(store)(ctx, registry)
	if err != nil && strings.Contains(err.Error(), "failed to decode auth field") {
		err = errors.New("its entry is not the base64 of USER:PASSWORD") // the library shows what it is
	}
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("getting the credentials for %s as %s says: %w", registry, c.path, err)
	}
	c.mu.Lock()
	c.found[registry] = credential != auth.EmptyCredential
	c.mu.Unlock()
	return credential, nil
}

// advice says which credentials were used for a request that was denied, and
// how to get better ones. It never says what they are: some registries have
// tokens for user names.
func (c *credentialStore) advice(registry string) string {
	c.mu.Lock()
	found, asked := c.found[registry]
	c.mu.Unlock()
	name := registry
	if registry == dockerHubHost {
		name = dockerHub
	}
	login := "slipway cr login " + name
	switch {
	case !asked:
		return fmt.Sprintf("%s did not ask for credentials: check what it allows without", name)
	case found:
		return fmt.Sprintf("the credentials for %s from %s were used: they are wrong or lack the right; renew them with `%s`", name, c.path, login)
	default:
		return fmt.Sprintf("there are no credentials for %s in %s: run `%s` (or it does not exist: registries do not tell)", name, c.path, login)
	}
}

// Credential is what the session shows to a registry host, for those that talk
// to registries by themselves. It is auth.EmptyCredential if there is none.
func (s *Session) Credential(ctx context.Context, host string) (auth.Credential, error) {
	return s.credentials.get(ctx, apiHost(host))
}
