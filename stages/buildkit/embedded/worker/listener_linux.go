package worker

import (
	"net"
	"sync"
)

// listener accepts one connection, which is there already.
type listener struct {
	conns  chan net.Conn
	ended  chan struct{} // closed when the connection is
	closed chan struct{}
	once   sync.Once
}

func newListener(c net.Conn) *listener {
	l := &listener{conns: make(chan net.Conn, 1), ended: make(chan struct{}), closed: make(chan struct{})}
	l.conns <- &watched{Conn: c, ended: l.ended}
	return l
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "worker", Net: "unix"} }

// watched is a connection that tells when it is closed: the server closes it when
// the other side has.
type watched struct {
	net.Conn
	ended chan struct{}
	once  sync.Once
}

func (w *watched) Close() error {
	w.once.Do(func() { close(w.ended) })
	return w.Conn.Close()
}
