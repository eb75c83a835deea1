package oci

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// hubNames are what people and Docker call Docker Hub.
var hubNames = []string{dockerHub, "index.docker.io", dockerHubHost}

// ParseRegistry parses what a user writes to name a registry: HOST[:PORT], or
// for Docker Hub docker.io and its other names, https://index.docker.io/v1/
// among them.
func ParseRegistry(s string) (string, error) {
	if s == credentials.ServerAddressFromRegistry(dockerHub) || slices.Contains(hubNames, s) {
		return dockerHub, nil
	}
	switch {
	case s == "":
		return "", errors.New("the registry is missing: write HOST[:PORT]")
	case strings.Contains(s, "://"):
		return "", fmt.Errorf("invalid registry %q: write it without a scheme, as HOST[:PORT]", s)
	case strings.Contains(s, "/"):
		host, _, _ := strings.Cut(s, "/")
		return "", fmt.Errorf("invalid registry %q: credentials are for a whole registry: write %s", s, host)
	case !isHost(s):
		return "", fmt.Errorf("invalid registry %q: write HOST[:PORT], or %s for Docker Hub", s, dockerHub)
	}
	if err := (registry.Reference{Registry: s}).ValidateRegistry(); err != nil {
		return "", fmt.Errorf("invalid registry %q: write HOST[:PORT]", s)
	}
	return s, nil
}

// Login checks credentials with a registry, as [ParseRegistry] gives it, and keeps
// them where the Docker configuration says: in a credential helper or else, with
// mode 0600, in the configuration itself, of which everything else stays. What the
// registry refuses is not kept. checked is false if it answered without asking who
// is there, so that nothing is known of the credentials.
//
// No error holds the password.
func (s *Session) Login(ctx context.Context, registryName, user, password string) (checked bool, err error) {
	switch {
	case user == "" || password == "":
		return false, &Error{Op: "log in to", Ref: registryName, Err: errors.New("the user name or the password is empty")}
	case strings.Contains(user, ":"):
		// RFC 7617, section 2.
		return false, &Error{Op: "log in to", Ref: registryName, Err: errors.New("a user name has no colon")}
	}
	host := apiHost(registryName)
	credential := auth.Credential{Username: user, Password: password}
	if checked, err = s.check(ctx, host, credential); err != nil {
		advice := s.advice(host, err)
		if IsDenied(err) {
			advice = "the user name or the password is wrong, or has expired; nothing was stored"
		}
		return checked, &Error{Op: "log in to", Ref: registryName, Err: hide(err, credential), advice: advice}
	}
	if err := s.credentials.put(ctx, registryName, credential); err != nil {
		return checked, &Error{Op: "store the credentials for", Ref: registryName, Err: hide(err, credential)}
	}
	_ = s.tokens.Forget(host) // nothing finds them under a changed configuration, anyway
	return checked, nil
}

// check asks a registry with credentials of its own, and no token of before.
func (s *Session) check(ctx context.Context, host string, credential auth.Credential) (checked bool, err error) {
	client := &auth.Client{Client: s.client.Client, Header: s.client.Header, ClientID: s.client.ClientID}
	client.Credential = func(_ context.Context, asking string) (auth.Credential, error) {
		if asking != host {
			return auth.EmptyCredential, nil
		}
		checked = true
		return credential, nil
	}
	r := remote.Registry{RepositoryOptions: remote.RepositoryOptions{
		Client: client, Reference: registry.Reference{Registry: host}, PlainHTTP: s.host(host).plainHTTP(ctx),
	}}
	if err := r.Ping(ctx); err != nil {
		if IsNotFound(err) {
			err = errors.New("there is no registry: /v2/ is not found")
		}
		return checked, err
	}
	if checked {
		return true, nil
	}
	// A registry that lets anybody read may still refuse who says something wrong.
	r.Client = withBasicAuth{client, credential}
	return false, r.Ping(ctx)
}

// withBasicAuth says who is there before being asked.
type withBasicAuth struct {
	*auth.Client
	credential auth.Credential
}

func (c withBasicAuth) Do(req *http.Request) (*http.Response, error) {
	req.SetBasicAuth(c.credential.Username, c.credential.Password)
	return c.Client.Do(req)
}

// Logout forgets the credentials for a registry, and the tokens that were got with
// them. found is false if there are no credentials.
func (s *Session) Logout(ctx context.Context, registryName string) (found bool, err error) {
	found, err = s.credentials.remove(ctx, registryName)
	if err = errors.Join(err, s.tokens.Forget(apiHost(registryName))); err != nil {
		err = &Error{Op: "log out from", Ref: registryName, Err: err}
	}
	return found, err
}

// put keeps a credential. It reads the configuration anew, since another program
// may have written it while the registry was asked.
func (c *credentialStore) put(ctx context.Context, registryName string, credential auth.Credential) error {
	address := credentials.ServerAddressFromRegistry(registryName)
	config, err := c.open(address)
	if err != nil {
		return err
	}
	if config.helper == nil {
		err = config.file.Put(ctx, address, credential)
	} else if err = config.helper.Put(ctx, address, credential); err == nil {
		err = config.file.Delete(ctx, address) // from before there was a helper
	}
	return c.saying(err)
}

// remove forgets a registry in all places and under all names that get finds.
func (c *credentialStore) remove(ctx context.Context, registryName string) (found bool, err error) {
	address := credentials.ServerAddressFromRegistry(registryName)
	config, err := c.open(address)
	if err != nil {
		return false, err
	}
	for other, entry := range config.auths {
		host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(other, "http://"), "https://"), "/")
		if host != registryName && !(registryName == dockerHub && slices.Contains(hubNames, host)) {
			continue
		}
		found = found || string(entry) != "{}" // which Docker leaves beside a helper
		if err := config.file.Delete(ctx, other); err != nil {
			return found, c.saying(err)
		}
	}
	if config.helper == nil {
		return found, nil
	}
	known, err := config.helper.Get(ctx, address)
	if err == nil && known != auth.EmptyCredential {
		found, err = true, config.helper.Delete(ctx, address)
	}
	return found, c.saying(err)
}

// dockerConfig is Docker's configuration, to be changed.
type dockerConfig struct {
	file   *credentials.FileStore
	auths  map[string]json.RawMessage // what the file has, by address
	helper credentials.Store          // of one registry; nil if the file keeps it
}

// open reads the configuration as it is now. A link to it stays one.
func (c *credentialStore) open(address string) (*dockerConfig, error) {
	if c.homeless != nil {
		return nil, fmt.Errorf("finding the Docker configuration: %w; name its directory with --docker-config", c.homeless)
	}
	path, err := filepath.EvalSymlinks(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		path, err = c.path, nil
	}
	if err != nil {
		return nil, c.saying(err)
	}
	file, err := credentials.NewFileStore(path)
	if err != nil {
		return nil, c.saying(err)
	}
	fields, err := readConfigFile(path)
	if err != nil {
		return nil, c.saying(err)
	}
	config := &dockerConfig{file: file, auths: fields.Auths}
	if helper := fields.helper(address); helper != "" {
		config.helper = credentials.NewNativeStore(helper)
	}
	return config, nil
}

func (c *credentialStore) saying(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("as %s says: %w", c.path, err)
}

// hide takes a password out of an error: a registry, a token server or a
// credential helper may have repeated what it was told.
func hide(err error, credential auth.Credential) error {
	quoted, _ := json.Marshal(credential.Password) // a string always marshals
	text := describe(err)
	hidden := text
	for _, secret := range []string{
		base64.StdEncoding.EncodeToString([]byte(credential.Username + ":" + credential.Password)),
		strings.Trim(string(quoted), `"`), url.QueryEscape(credential.Password), credential.Password,
	} {
		hidden = strings.ReplaceAll(hidden, secret, "***")
	}
	if hidden == text {
		return err
	}
	return errors.New(hidden)
}
