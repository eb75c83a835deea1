// Package oci is the one way to registries and OCI image layouts: sessions,
// look-ups, key tags, aliases, copies, base images and Helm's media types.
//
// A run has one [Session]. It holds what is dear to make and cheap to share:
// connections, auth challenges, tokens and the Docker configuration. From it
// come repositories, which are either places in a registry or layouts in a
// directory; everything else in the package works on both alike.
//
// It must never know what is stored or why: no werf.yaml, no stage, no key
// other than the tag that spells it, no BuildKit.
package oci

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway/oci/tokens"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Options configures a Session. The zero value is for registries that speak
// HTTPS with a certificate that the system trusts, with the credentials of the
// Docker configuration.
type Options struct {
	// Insecure allows plain HTTP for registries that do not speak TLS
	// (--insecure-registry). Loopback registries never need it.
	Insecure bool
	// SkipTLSVerify accepts any certificate (--skip-tls-verify-registry).
	SkipTLSVerify bool
	// Mirrors are asked for docker.io's images before docker.io itself, in this
	// order. Each is [http://|https://]HOST[:PORT][/PREFIX].
	Mirrors []string
	// DockerConfig is the directory of Docker's config.json; empty means
	// $DOCKER_CONFIG, else ~/.docker.
	DockerConfig string
	// TokenDir is where bearer tokens are kept between runs, see oci/tokens; empty
	// means nowhere.
	TokenDir string
	// Transport replaces the session's own connection pool, and with it
	// SkipTLSVerify. Tests count and redirect requests with it.
	Transport http.RoundTripper `json:"-"`
	// UserAgent is sent with every request; empty means "slipway".
	UserAgent string
}

// Stats counts HTTP requests, retries and token requests included.
type Stats struct {
	Total  int
	Writes int // to registries: neither GET nor HEAD
}

// Session is what a run shares between all its registry work. It is safe for
// concurrent use. It needs no closing.
type Session struct {
	opts        Options
	dialer      *dialer // nil with a Transport of others
	client      *auth.Client
	counter     *counter
	credentials *credentialStore
	tokens      *tokens.Cache
	mirrors     []mirror
	settle      func(ctx context.Context, d time.Duration) error // see Claim

	mu    sync.Mutex
	hosts map[string]*host
	repos map[string]Repository
}

// NewSession checks the options; it reads no file and opens no connection.
func NewSession(o Options) (*Session, error) {
	mirrors, err := parseMirrors(o.Mirrors)
	if err != nil {
		return nil, err
	}
	var d *dialer
	if o.Transport == nil {
		d = &dialer{Dialer: net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}}
		o.Transport = newTransport(d, o.SkipTLSVerify)
	}
	if o.UserAgent == "" {
		o.UserAgent = "slipway"
	}
	s := &Session{
		opts:        o,
		dialer:      d,
		counter:     &counter{base: o.Transport},
		credentials: newCredentialStore(o.DockerConfig),
		mirrors:     mirrors,
		settle:      sleep,
		hosts:       map[string]*host{},
		repos:       map[string]Repository{},
	}
	s.tokens = tokens.New(o.TokenDir, tokenOwner{s})
	s.client = &auth.Client{
		Client: &http.Client{Transport: tokens.Observer{Base: &retry.Transport{
			Base:   s.counter,
			Policy: func() retry.Policy { return retryPolicy },
		}}},
		Header:     http.Header{"User-Agent": {o.UserAgent}},
		Cache:      s.tokens,
		ClientID:   "slipway",
		Credential: s.credentials.get,
	}
	return s, nil
}

// Requests counts the HTTP requests that the session has made so far.
func (s *Session) Requests() Stats {
	return Stats{Total: int(s.counter.total.Load()), Writes: int(s.counter.writes.Load())}
}

// Options are the options of the session, for a session of another process: all
// but Transport and TokenDir, as that process has other credentials.
func (s *Session) Options() Options {
	o := s.opts
	o.Transport, o.TokenDir = nil, ""
	return o
}

// SkipTLSVerify tells whether certificates go unchecked, for those who must
// configure another client the same way.
func (s *Session) SkipTLSVerify() bool { return s.opts.SkipTLSVerify }

// PlainHTTP tells whether a registry (HOST[:PORT]) is spoken to without TLS. A
// registry for which both are allowed is asked once, with one TLS handshake.
func (s *Session) PlainHTTP(ctx context.Context, registry string) bool {
	return s.host(apiHost(registry)).plainHTTP(ctx)
}

// Repository is the repository that ref names; its tag and digest do not
// matter. The same place is always the same object. Ask for all repositories
// before using the first: a token is then fetched once for all of them.
func (s *Session) Repository(ref Reference) (Repository, error) {
	ref = ref.base()
	if err := ref.validate(); err != nil {
		return nil, err
	}
	if ref.IsLayout() {
		return s.layout(ref)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo, ok := s.repos[ref.Name()]; ok {
		return repo, nil
	}
	repo := newRegistryRepository(s, ref)
	s.repos[ref.Name()] = repo
	return repo, nil
}

// fanOut is how many questions a run has for one registry at once.
const fanOut = 128

// newTransport is a pool as wide as a run's fan-out: with the default of two
// idle connections per host, fifty look-ups in parallel would dial fifty times.
// Connections per host are not capped, because a copy within one registry
// holds one connection while it waits for another.
func newTransport(d *dialer, skipVerify bool) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           d.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   fanOut,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: skipVerify},
	}
}

// retryPolicy bounds all retries of one request to about four seconds of
// waiting. What will not get better by itself is not tried again: a host that
// cannot be dialled, and "not implemented".
var retryPolicy = &retry.GenericPolicy{
	Retryable: func(resp *http.Response, err error) (bool, error) {
		if isDialError(err) {
			return false, err
		}
		if resp != nil && resp.StatusCode == http.StatusNotImplemented {
			return false, nil
		}
		return retry.DefaultPredicate(resp, err)
	},
	Backoff:  retry.DefaultBackoff,
	MinWait:  200 * time.Millisecond,
	MaxWait:  3 * time.Second,
	MaxRetry: 4,
}

// counter counts what really goes out: it sits below retries and redirects.
type counter struct {
	base          http.RoundTripper
	total, writes atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.total.Add(1)
	// A token may be asked for with POST; that writes nothing to a registry.
	if isWrite(req.Method) && strings.HasPrefix(req.URL.Path, "/v2/") {
		c.writes.Add(1)
	}
	return c.base.RoundTrip(req)
}

func isWrite(method string) bool {
	return method != http.MethodGet && method != http.MethodHead
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
