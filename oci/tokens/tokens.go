// Package tokens keeps the bearer tokens of registries between runs, in files, so
// that a run that comes soon after another need not ask for one again.
//
// A file is for one registry host and one identity. What is kept is a short-lived
// access token and never what it was got with. Files are a matter of speed alone:
// one that cannot be read, or cannot be trusted, is none, and where none can be
// written there are none.
//
// It must never know where credentials are, nor what requests are for.
package tokens

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	// maxLife bounds how long a token is kept, whatever its server says: who loses a
	// right has lost it here, too, when that time is over.
	maxLife = time.Hour
	// margin is the end of a token's life, in which it is not used: the request has
	// to get there, and clocks differ.
	margin = 30 * time.Second
)

// Owner is whose the tokens are.
type Owner interface {
	// Identity differs between those whom a registry tells apart. ok is false where
	// that is not known without asking: nothing is kept then.
	Identity(host string) (identity string, ok bool)
	// Secrets are what no file may have, whatever a token server answers.
	Secrets(ctx context.Context, host string) ([]string, error)
}

// Cache is an auth.Cache that begins with what earlier runs have kept. It is safe
// for concurrent use, and so is its directory for several processes: of two that
// write one file, the last wins.
type Cache struct {
	auth.Cache
	dir   string // "" keeps nothing
	owner Owner
	now   func() time.Time

	mu     sync.Mutex
	loaded map[string]bool // by registry host
}

// New makes the cache of a session; dir need not be there.
func New(dir string, owner Owner) *Cache {
	return &Cache{Cache: auth.NewCache(), dir: dir, owner: owner, now: time.Now, loaded: map[string]bool{}}
}

// GetScheme is what a client asks first about a host.
func (c *Cache) GetScheme(ctx context.Context, host string) (auth.Scheme, error) {
	c.load(ctx, host)
	return c.Cache.GetScheme(ctx, host)
}

// load takes over what is kept for a host. From then on, a token that was kept is
// one like any other: if the registry refuses it, the client gets a new one.
func (c *Cache) load(ctx context.Context, host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir == "" || c.loaded[host] {
		return
	}
	c.loaded[host] = true
	if !private(c.dir) { // which is cheaper to find than an identity
		return
	}
	path, ok := c.path(host)
	if !ok {
		return
	}
	kept := readFile(path, c.now())
	if len(kept) == 0 {
		return
	}
	// Errors about denied requests tell which credentials were used: so the owner is
	// to know them, as if the registry had asked.
	if _, err := c.owner.Secrets(ctx, host); err != nil {
		return
	}
	for scopes, e := range kept {
		known := func(context.Context) (string, error) { return e.Token, nil }
		_, _ = c.Cache.Set(context.WithoutCancel(ctx), host, auth.SchemeBearer, scopes, known)
	}
}

// Set keeps what a token server has answered.
func (c *Cache) Set(ctx context.Context, host string, scheme auth.Scheme, scopes string, fetch func(context.Context) (string, error)) (string, error) {
	if c.dir == "" || scheme != auth.SchemeBearer {
		return c.Cache.Set(ctx, host, scheme, scopes, fetch)
	}
	return c.Cache.Set(ctx, host, scheme, scopes, func(ctx context.Context) (string, error) {
		asked, answer := c.now(), &answer{}
		token, err := fetch(context.WithValue(ctx, answerKey{}, answer))
		if err == nil {
			c.keep(ctx, host, scopes, token, answer.expires(token, asked))
		}
		return token, err
	})
}

// keep writes a token down, if it is one to be kept.
func (c *Cache) keep(ctx context.Context, host, scopes, token string, expires time.Time) {
	now := c.now()
	e := entry{Token: token, Expires: expires}
	if limit := now.Add(maxLife); e.Expires.After(limit) {
		e.Expires = limit
	}
	if !e.usable(now) {
		return
	}
	path, ok := c.path(host)
	if !ok {
		return
	}
	if secrets, err := c.owner.Secrets(ctx, host); err != nil || holds(token, secrets) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	writeFile(path, scopes, e, now)
}

// path is the file of a host and the identity that is shown to it now.
func (c *Cache) path(host string) (string, bool) {
	identity, ok := c.owner.Identity(host)
	if !ok {
		return "", false
	}
	sum := sha256.Sum256([]byte(host + "\n" + identity))
	return filepath.Join(c.dir, fileName(host, sum[:16])), true
}

// Drop removes the token that is kept for scopes, as the auth client writes them.
func (c *Cache) Drop(host, scopes string) {
	if c.dir == "" {
		return
	}
	path, ok := c.path(host)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := readFile(path, c.now())[scopes]; ok {
		writeFile(path, scopes, entry{}, c.now())
	}
}

// Forget removes what is kept for a host, whoever it is for.
func (c *Cache) Forget(host string) error {
	if c.dir == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return removeFiles(c.dir, host)
}
