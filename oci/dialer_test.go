package oci

import (
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// accepting is a server that takes connections and tells from where they come.
func accepting(t *testing.T) (address string, from <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	accepted := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn.RemoteAddr().String()
		}
	}()
	return l.Addr().String(), accepted
}

// A connection is begun once, and taken once; one that is old is not taken.
func TestDialer(t *testing.T) {
	address, from := accepting(t)
	d := &dialer{}
	d.begin(t.Context(), address)
	d.begin(t.Context(), address)
	begun := <-from // before anybody has asked for it
	conn, err := d.DialContext(t.Context(), "tcp", address)
	check(t, err)
	if got := conn.LocalAddr().String(); got != begun {
		t.Errorf("the connection from %s was not taken, but one from %s", begun, got)
	}
	conn, err = d.DialContext(t.Context(), "tcp", address)
	check(t, err)
	if got := conn.LocalAddr().String(); got != <-from {
		t.Errorf("the second connection is from %s", got)
	}

	old := dialed{conn: conn, at: time.Now().Add(-dialedLife)}
	c := make(chan dialed, 1)
	c <- old
	d.begun[address] = c
	fresh, err := d.DialContext(t.Context(), "tcp", address)
	check(t, err)
	if fresh == conn || conn.SetDeadline(time.Now()) == nil {
		t.Error("an old connection was taken, or is open")
	}
}

// What cannot be reached is dialled once.
func TestDialerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l.Close()
	d := &dialer{}
	d.begin(t.Context(), l.Addr().String())
	if _, err := d.DialContext(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// Connect connects, and the first request comes over that connection.
func TestConnect(t *testing.T) {
	var fromAddress []string
	host := startRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fromAddress = append(fromAddress, r.RemoteAddr)
			next.ServeHTTP(w, r)
		})
	})
	s := newSession(t, Options{})
	s.Connect(t.Context(), host)
	begun := <-s.dialer.begun[host]
	check(t, begun.err)
	s.dialer.begun[host] <- begun
	lookups(t, 1, repository(t, s, host+"/a"))
	if len(fromAddress) != 1 || fromAddress[0] != begun.conn.LocalAddr().String() {
		t.Errorf("requests came from %v, want %v", fromAddress, begun.conn.LocalAddr())
	}
}
