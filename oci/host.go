package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/oci/tokens"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// maxHints bounds the repositories that one token is asked for: a token grows
// with each, and servers refuse headers beyond some 8 KiB.
const maxHints = 50

// host is what a session knows about one registry host.
type host struct {
	name      string
	mayBeHTTP bool

	probe sync.Once
	plain bool

	mu      sync.Mutex
	repos   []string                 // to ask tokens for
	writing bool                     // something was written: ask for push, too
	gates   map[string]chan struct{} // by token scopes
	turns   turns                    // of questions: requests with HEAD

	dialError error // the first, if the host cannot be reached
}

func (s *Session) host(name string) *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hostLocked(name)
}

func (s *Session) hostLocked(name string) *host {
	h, ok := s.hosts[name]
	if !ok {
		h = &host{
			name:      name,
			mayBeHTTP: s.opts.Insecure || isLoopback(name),
			gates:     map[string]chan struct{}{},
			turns:     newTurns(),
		}
		s.hosts[name] = h
	}
	return h
}

// plainHTTP is decided once per host. The probe is a TLS handshake and not an
// HTTP request, so that it can neither be answered wrongly nor seen as traffic.
func (h *host) plainHTTP(ctx context.Context) bool {
	if !h.mayBeHTTP {
		return false
	}
	h.probe.Do(func() { h.plain = !speaksTLS(context.WithoutCancel(ctx), h.name) })
	return h.plain
}

// speaksTLS tells whether anything like TLS is behind address (HOST[:PORT]). A
// certificate that does not verify, or an alert, is TLS all the same. A host
// that cannot be reached does not: the first request then says why.
func speaksTLS(ctx context.Context, address string) bool {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "443")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	// Nothing is sent over this connection, so there is nothing to protect.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
		return true
	}
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls")
}

func isLoopback(hostport string) bool {
	name, _, err := net.SplitHostPort(hostport)
	if err != nil {
		name = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback()
}

// use adds a repository to those that tokens are asked for.
func (h *host) use(repository string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.repos) < maxHints && !slices.Contains(h.repos, repository) {
		h.repos = append(h.repos, repository)
	}
}

// scopes is what the next token should be good for. Push is asked for from the
// first write on: a run that changes nothing gets by with read-only rights.
func (h *host) scopes(writing bool) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writing = h.writing || writing
	actions := []string{auth.ActionPull}
	if h.writing {
		actions = append(actions, auth.ActionPush)
	}
	scopes := make([]string, len(h.repos))
	for i, repository := range h.repos {
		scopes[i] = auth.ScopeRepository(repository, actions...)
	}
	return scopes
}

// enter lets the first request for a token's scopes go ahead alone and the
// others wait until it is answered: they find the token in the cache, where
// otherwise each of them would be challenged first. Call leave when answered.
func (h *host) enter(ctx context.Context, scopes string) (leave func(), err error) {
	h.mu.Lock()
	gate, ok := h.gates[scopes]
	if !ok {
		gate = make(chan struct{})
		h.gates[scopes] = gate
	}
	h.mu.Unlock()
	if !ok {
		return func() { close(gate) }, nil
	}
	select {
	case <-gate:
		return func() {}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client sends the requests of one repository, with the scopes of all.
type client struct {
	auth   *auth.Client
	tokens *tokens.Cache
	host   *host
	hint   bool // false for base images: only read, and often somebody else's
}

// Do implements remote.Client.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	ctx, name := req.Context(), req.URL.Host
	if c.hint {
		ctx = auth.AppendScopesForHost(ctx, name, c.host.scopes(isWrite(req.Method))...)
	}
	// A request that brings its token (the second one of an upload) waits for none.
	if req.Header.Get("Authorization") == "" {
		leave, err := c.host.enter(ctx, strings.Join(auth.GetAllScopesForHost(ctx, name), " "))
		if err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, err
		}
		defer leave()
	}
	// Only what is answered by this one request: a copy may read one place while it
	// writes another.
	if req.Method == http.MethodHead {
		if err := c.host.turns.take(ctx); err != nil {
			return nil, err
		}
		defer c.host.turns.leave()
	}
	resp, err := c.auth.Do(req.WithContext(ctx))
	if err == nil && resp.StatusCode == http.StatusForbidden {
		// A new token may say more, once somebody has given the right: the next run gets
		// one. (401 is how a registry asks for one, and that is heeded at once.)
		c.tokens.Drop(name, strings.Join(auth.GetAllScopesForHost(ctx, name), " "))
	}
	if isDialError(err) && ctx.Err() == nil {
		err = c.host.unreachable(err)
	}
	return resp, err
}

// unreachable is the first error of connecting to the host: however many requests
// fail by it, it is one cause, and is to be told once.
func (h *host) unreachable(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dialError == nil {
		h.dialError = err
	}
	return h.dialError
}
