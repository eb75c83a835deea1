package oci

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote/credentials"
)

// configFile is what Docker's config.json says of where credentials are.
type configFile struct {
	digest string // of its bytes; "" if there is no file

	Auths       map[string]json.RawMessage `json:"auths"` // by address
	CredsStore  string                     `json:"credsStore"`
	CredHelpers map[string]string          `json:"credHelpers"`
}

func readConfigFile(path string) (configFile, error) {
	var file configFile
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, nil
	case err != nil:
		return file, err
	}
	file.digest = fmt.Sprintf("%x", sha256.Sum256(raw))
	if len(strings.TrimSpace(string(raw))) > 0 {
		err = json.Unmarshal(raw, &file)
	}
	return file, err
}

// helper is the credential helper that has the credentials of an address; "" if
// the file has them.
func (f configFile) helper(address string) string {
	return cmp.Or(f.CredHelpers[address], f.CredsStore)
}

// tokenOwner is whom a session's tokens are for.
type tokenOwner struct{ session *Session }

// Identity is the whole configuration: whatever changes in it, tokens of before are
// not used. It is not known where a credential helper has the credentials, as these
// change without a trace in the configuration, and asking means to start a process;
// nor where the configuration changed under the session, which may have read its
// credentials before or after.
func (o tokenOwner) Identity(host string) (string, bool) {
	c := o.session.credentials
	first, err := c.first()
	if err != nil || first.helper(credentials.ServerAddressFromHostname(host)) != "" {
		return "", false
	}
	now, err := readConfigFile(c.path)
	if err != nil || now.digest != first.digest {
		return "", false
	}
	// What came over a connection that nobody vouches for is not for one that is safe,
	// nor the other way round.
	opts := o.session.opts
	return fmt.Sprintf("%s %t %t", now.digest, opts.Insecure, opts.SkipTLSVerify), true
}

// Secrets are the credentials themselves. No helper is asked: see Identity.
func (o tokenOwner) Secrets(ctx context.Context, host string) ([]string, error) {
	credential, err := o.session.credentials.get(ctx, host)
	return []string{credential.Password, credential.RefreshToken, credential.AccessToken}, err
}
