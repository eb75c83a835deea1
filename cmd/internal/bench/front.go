package bench

import (
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Link is how far away a registry is and how it lets people in.
type Link struct {
	RTT    time.Duration // of a packet, there and back; a new connection costs one, too
	Bearer bool          // ask for a token, which an address of the registry gives for a password
}

func (l Link) String() string {
	text := "on loopback"
	if l.RTT > 0 {
		text = fmt.Sprintf("%d ms away", l.RTT.Milliseconds())
	}
	if l.Bearer {
		text += ", with bearer tokens"
	}
	return text
}

// Traffic is what a registry was asked.
type Traffic struct {
	Requests map[string]int `json:"requests,omitempty"` // by method, TOKEN for tokens
	In       int64          `json:"in"`                 // bytes from clients, HTTP's own included
	Out      int64          `json:"out"`                // bytes to clients
}

// tokens stands for the method of requests for tokens, which change nothing.
const tokens = "TOKEN"

// Total counts all requests.
func (t Traffic) Total() int {
	n := 0
	for _, count := range t.Requests {
		n += count
	}
	return n
}

// Writes counts the requests that would change a registry.
func (t Traffic) Writes() int {
	return t.Total() - t.Requests[http.MethodGet] - t.Requests[http.MethodHead] - t.Requests[tokens]
}

// Since is what came after an earlier state of the same front.
func (t Traffic) Since(before Traffic) Traffic {
	d := Traffic{Requests: map[string]int{}, In: t.In - before.In, Out: t.Out - before.Out}
	for method, n := range t.Requests {
		if n -= before.Requests[method]; n > 0 {
			d.Requests[method] = n
		}
	}
	return d
}

// Front is an address at which a handler is reached, over a link, and where what
// passes is counted. Several fronts may stand before one handler.
type Front struct {
	Host string // "127.0.0.1:PORT"
	Link Link

	server  *http.Server
	delay   *delay
	in, out atomic.Int64

	mu       sync.Mutex
	requests map[string]int
}

// NewFront opens an address for next on a free port of 127.0.0.1.
func NewFront(next http.Handler, link Link) (*Front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening an address for the registry: %w", err)
	}
	f := &Front{Link: link, Host: listener.Addr().String(), requests: map[string]int{}}
	if link.RTT > 0 {
		if f.delay, err = newDelay(f.Host, link.RTT); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		f.Host = f.delay.host()
	}
	if link.Bearer {
		next = newBearer(next, "http://"+f.Host+tokenPath)
	}
	f.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			method := r.Method
			if link.Bearer && r.URL.Path == tokenPath {
				method = tokens
			}
			f.mu.Lock()
			f.requests[method]++
			f.mu.Unlock()
			next.ServeHTTP(w, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0), // connections that clients leave
	}
	go f.server.Serve(countedListener{listener, f})
	return f, nil
}

// Traffic is what has passed until now.
func (f *Front) Traffic() Traffic {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Traffic{Requests: maps.Clone(f.requests), In: f.in.Load(), Out: f.out.Load()}
}

// Close ends all connections.
func (f *Front) Close() error {
	var err error
	if f.delay != nil {
		err = f.delay.close()
	}
	return errors.Join(err, f.server.Close())
}

type countedListener struct {
	net.Listener
	f *Front
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.f}, nil
}

type countedConn struct {
	net.Conn
	f *Front
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.f.in.Add(int64(n))
	return n, err
}

// Write counts first: who has its answer finds it counted.
func (c countedConn) Write(p []byte) (int, error) {
	c.f.out.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.f.out.Add(int64(n - len(p)))
	return n, err
}
