package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/buildkit/client/connhelper"
	"github.com/moby/buildkit/client/connhelper/dockercontainer"
	"github.com/moby/buildkit/client/connhelper/kubepod"
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

// line is the connection to one builder, one at a time, and remembers each time that
// it was made or ended, other than by this side.
type line struct {
	dial dialFunc

	mu    sync.Mutex
	turns []error // nil where it was made
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
	return &watched{Conn: conn, line: l, ended: make(chan struct{})}, nil
}

func (l *line) turn(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, cause)
}

// state is what since compares with.
func (l *line) state() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.turns)
}

// since tells what has become of the line since it was in a state: nil if it is
// still the same, else the first thing that went wrong.
func (l *line) since(state int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cause := range l.turns[state:] {
		if cause != nil {
			return cause
		}
	}
	if len(l.turns) > state {
		return errors.New("the builder was restarted")
	}
	return nil
}

// last is how the line ended the last time, nil if it never did.
func (l *line) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cause := range slices.Backward(l.turns) {
		if cause != nil {
			return cause
		}
	}
	return nil
}

// watched tells the line when the other side, or the network, ends a connection.
type watched struct {
	net.Conn
	line   *line
	closed atomic.Bool // by this side
	once   sync.Once
	ended  chan struct{}
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// Write leaves it to Read to say why the connection ended: of a command that
// stands for one, its exit and its last words are read.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	if err != nil {
		select {
		case <-w.ended:
		case <-time.After(time.Second):
			w.end(err)
		}
	}
	return n, err
}

func (w *watched) end(err error) {
	w.once.Do(func() {
		if !w.closed.Load() {
			w.line.turn(plainly(err))
		}
		close(w.ended)
	})
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}

// plainly says what ended a connection. Of a command, it leaves out what the library
// supposes.
func plainly(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the builder closed the connection")
	}
	if command, stderr, ok := strings.Cut(err.Error(), ", make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr="); ok {
		return fmt.Errorf("%s: %s", command, strings.TrimSpace(stderr))
	}
	return err
}
