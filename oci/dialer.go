package oci

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// dialer opens connections, and some of them before they are asked for: to find a
// registry's address and to connect to it takes as long as a request.
type dialer struct {
	net.Dialer

	mu    sync.Mutex
	begun map[string]chan dialed // by address
}

type dialed struct {
	conn net.Conn
	err  error
	at   time.Time
}

// dialedLife is how long what was dialled before it was asked for is of use: servers
// close connections over which nothing comes.
const dialedLife = 5 * time.Second

// begin opens a connection that the next DialContext to the address takes. It is gone
// with the process if there is none.
func (d *dialer) begin(ctx context.Context, address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, twice := d.begun[address]; twice {
		return
	}
	if d.begun == nil {
		d.begun = map[string]chan dialed{}
	}
	c := make(chan dialed, 1)
	d.begun[address] = c
	go func() {
		// Whoever takes it may be another than who began; the dialer's own time is its bound.
		conn, err := d.Dialer.DialContext(context.WithoutCancel(ctx), "tcp", address)
		c <- dialed{conn, err, time.Now()}
	}()
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	c := d.begun[address]
	delete(d.begun, address)
	d.mu.Unlock()
	if c != nil {
		select {
		case got := <-c:
			if time.Since(got.at) < dialedLife {
				return got.conn, got.err
			}
			if got.conn != nil {
				got.conn.Close()
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return d.Dialer.DialContext(ctx, network, address)
}

// Connect begins to connect to a registry (HOST[:PORT]) that is going to be asked. It
// makes no request, and does not wait.
func (s *Session) Connect(ctx context.Context, registry string) {
	h := s.host(apiHost(registry))
	go h.plainHTTP(ctx)
	if s.dialer == nil {
		return
	}
	address := h.name
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		if h.mayBeHTTP {
			return // the port is not known yet
		}
		address = net.JoinHostPort(h.name, "443")
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: h.name}})
	if proxy == nil && err == nil {
		s.dialer.begin(ctx, address)
	}
}
