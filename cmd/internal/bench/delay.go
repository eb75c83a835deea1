package bench

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// delay is a TCP proxy that makes a target on this machine look far away: what
// is sent arrives half a round trip later, and a new connection carries nothing
// before its own round trip. Bandwidth is not limited.
type delay struct {
	listener net.Listener
	target   string
	rtt      time.Duration

	mu    sync.Mutex
	conns map[net.Conn]bool // nil when closed
}

func newDelay(target string, rtt time.Duration) (*delay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening an address for the registry: %w", err)
	}
	d := &delay{listener: listener, target: target, rtt: rtt, conns: map[net.Conn]bool{}}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go d.connect(client, time.Now().Add(rtt))
		}
	}()
	return d, nil
}

func (d *delay) host() string { return d.listener.Addr().String() }

// close closes every connection.
func (d *delay) close() error {
	err := d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		err = errors.Join(err, c.Close())
	}
	d.conns = nil
	return err
}

// keep notes a connection for close; it says false when that has been.
func (d *delay) keep(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns == nil {
		c.Close()
		return false
	}
	d.conns[c] = true
	return true
}

func (d *delay) drop(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns[c] {
		delete(d.conns, c)
		c.Close()
	}
}

// connect serves one client, whose connection is up at the time open.
func (d *delay) connect(client net.Conn, open time.Time) {
	server, err := net.Dial("tcp", d.target)
	if err != nil {
		client.Close()
		return
	}
	if !d.keep(client) || !d.keep(server) {
		client.Close()
		server.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { pass(server, client, open, d.rtt/2) })
	both.Go(func() { pass(client, server, open, d.rtt/2) })
	both.Wait()
	d.drop(client)
	d.drop(server)
}

type chunk struct {
	data []byte
	due  time.Time
}

// pass copies from to to, each piece late after it came or after open, until
// either ends; then it says to the other side that no more will come.
func pass(to, from net.Conn, open time.Time, late time.Duration) {
	chunks := make(chan chunk, 256) // what is under way
	stop := make(chan struct{})
	go func() {
		defer close(chunks)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			came := time.Now()
			if came.Before(open) {
				came = open
			}
			if n > 0 {
				select {
				case chunks <- chunk{buffer[:n], came.Add(late)}:
				case <-stop:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	close(stop)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be closed already
	}
}
