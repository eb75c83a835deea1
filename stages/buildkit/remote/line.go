package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/moby/buildkit/client/connhelper"
	"github.com/moby/buildkit/client/connhelper/dockercontainer"
	"github.com/moby/buildkit/client/connhelper/kubepod"
	"google.golang.org/grpc/credentials"
)

type dialFunc func(ctx context.Context) (net.Conn, error)

// dialer makes connections to an address.
func dialer(a Address) (dialFunc, error) {
	switch a.url.Scheme {
	case "unix":
		return func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", a.url.Path)
		}, nil
	case "tcp":
		return func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", a.url.Host)
		}, nil
	}
	var helper *connhelper.ConnectionHelper
	var err error
	if a.url.Scheme == "kube-pod" {
		helper, err = kubepod.Helper(a.url)
	} else {
		helper, err = dockercontainer.Helper(a.url)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return func(ctx context.Context) (net.Conn, error) { return helper.ContextDialer(ctx, "") }, nil
}

// transport is TLS as the address wants it, nil if it wants none.
func (a Address) transport() (credentials.TransportCredentials, error) {
	if !a.tls {
		return nil, nil
	}
	config := &tls.Config{ServerName: a.serverName, MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, fmt.Errorf("%s: ca: %w", a.Name, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: ca: %s has no certificate in PEM", a.Name, a.ca)
		}
	}
	if a.cert != "" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("%s: cert and key: %w", a.Name, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// line is the connection to one builder, one at a time, and remembers how often it
// was made or ended, other than by this side.
type line struct {
	dial dialFunc

	mu    sync.Mutex
	turns int
	cause error // of the last end
}

// connect is gRPC's dialer; gRPC connects again when there is something to send.
func (l *line) connect(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := l.dial(ctx)
	if ctx.Err() == nil {
		l.turn(err)
	}
	if err != nil {
		return nil, err
	}
	return &watched{Conn: conn, line: l}, nil
}

func (l *line) turn(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns++
	if cause != nil {
		l.cause = cause
	}
}

func (l *line) read() (turns int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turns, l.cause
}

func (l *line) state() int {
	turns, _ := l.read()
	return turns
}

// since tells what has happened to the line since it was in a state; nil if it is
// still the same.
func (l *line) since(state int) error {
	turns, cause := l.read()
	if turns == state {
		return nil
	}
	if cause == nil {
		return errors.New("it was made again")
	}
	return cause
}

// watched tells the line when the other side, or the network, ends a connection.
type watched struct {
	net.Conn
	line   *line
	closed atomic.Bool // by this side
	ended  atomic.Bool
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.note(err)
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.note(err)
	return n, err
}

func (w *watched) note(err error) {
	if err != nil && !w.closed.Load() && w.ended.CompareAndSwap(false, true) {
		w.line.turn(err)
	}
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}
