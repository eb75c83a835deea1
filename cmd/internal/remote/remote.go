// Package remote finds out what the remote ADDs of a Dockerfile fetch now: the
// checksum of a file, the commit of a git repository, each as BuildKit would see
// it (source/http and source/git of BuildKit 0.34).
//
// It must never know the lock file, nor keep what it reads: a file is hashed as it
// comes in.
package remote

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"slipway/engine"
	"slipway/planner/dockerfile"

	"github.com/moby/buildkit/util/gitutil"
	"github.com/moby/buildkit/version"
	digest "github.com/opencontainers/go-digest"
)

// Resolver resolves remotes. The zero value runs git in the current directory and
// has no secrets.
type Resolver struct {
	Dir string // where git is run: its configuration there counts
	// Secret finds a build secret by its id. As in a build, HTTP_AUTH_HEADER_HOST,
	// HTTP_AUTH_TOKEN_HOST, and GIT_AUTH_HEADER and GIT_AUTH_TOKEN, with .HOST or
	// without, are shown to the server.
	Secret func(id string) (value []byte, ok bool, err error)
}

// Digest is the sha256 of the file that a URL holds.
func (r Resolver) Digest(ctx context.Context, remote dockerfile.Remote) (digest.Digest, error) {
	sum, err := r.download(ctx, remote)
	return sum, explain(remote, err)
}

func (r Resolver) download(ctx context.Context, remote dockerfile.Remote) (digest.Digest, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, remote.URL, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", version.UserAgent()) // some servers choose by it
	authorization, err := r.first(
		secret{"HTTP_AUTH_TOKEN_" + req.URL.Hostname(), bearer}, secret{"HTTP_AUTH_HEADER_" + req.URL.Hostname(), asIs})
	if err != nil {
		return "", err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %s", resp.Status)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, resp.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("the download was cut off after %d bytes", n)
	}
	if err != nil {
		return "", err
	}
	return digest.NewDigest(digest.SHA256, hash), nil
}

// explain says which ADD failed. No credentials are left in what failed.
func explain(remote dockerfile.Remote, err error) error {
	if err == nil {
		return nil
	}
	place := remote.Dockerfile
	if remote.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, remote.Line)
	}
	var request *url.Error // has the URL
	if errors.As(err, &request) {
		err = request.Err
	}
	return &Error{text: fmt.Sprintf("%s: ADD %s: %s", place, remote.Name, engine.Redact(err.Error())), err: err}
}

// Error is a remote that could not be resolved.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.err }

// secret is a build secret and what makes an Authorization header of it.
type secret struct {
	id     string
	header func(value string) string
}

func asIs(v string) string   { return v }
func bearer(v string) string { return "Bearer " + v }
func basic(v string) string {
	return "basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+v))
}

// first is the header of the first secret that there is; "" if there is none.
func (r Resolver) first(secrets ...secret) (string, error) {
	if r.Secret == nil {
		return "", nil
	}
	for _, s := range secrets {
		value, ok, err := r.Secret(s.id)
		if err != nil {
			return "", err
		}
		if ok {
			return s.header(string(value)), nil
		}
	}
	return "", nil
}

// gitHost is the host of a repository's URL, with its port.
func gitHost(u string) string {
	if parsed, err := gitutil.ParseURL(u); err == nil {
		return parsed.Host
	}
	return ""
}
