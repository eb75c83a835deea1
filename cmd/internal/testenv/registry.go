package testenv

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

// ownHeader marks the requests of this package itself, which the log leaves out:
// it counts what the program under test does.
const ownHeader = "X-Testenv"

// RegistryServer is distribution's registry, the code of the registry:3 image,
// in this process.
type RegistryServer struct {
	Host string // "127.0.0.1:PORT", as it stands in references

	t         testing.TB
	transport http.RoundTripper
	users     []authn.Basic
	intercept []func(http.ResponseWriter, *http.Request) bool
	tls       bool
	inMemory  bool

	mu  sync.Mutex
	log []*Request
}

// Request is one request that the registry got.
type Request struct {
	Method, Path, Query string
	Status              int // of the answer; 0 while there is none
}

// IsWrite says whether the request would change the registry.
func (r Request) IsWrite() bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

func (r Request) String() string {
	path := r.Path
	if r.Query != "" {
		path += "?" + r.Query
	}
	return fmt.Sprintf("%s %s %d", r.Method, path, r.Status)
}

// Option changes the registry that Registry starts.
type Option func(*RegistryServer)

// InMemory keeps the registry's content in memory; by default it is in files.
func InMemory() Option { return func(r *RegistryServer) { r.inMemory = true } }

// TLS serves HTTPS with a certificate that nobody trusts.
func TLS() Option { return func(r *RegistryServer) { r.tls = true } }

// User lets in user, and nobody who is not named by a User option.
func User(user, password string) Option {
	return func(r *RegistryServer) {
		r.users = append(r.users, authn.Basic{Username: user, Password: password})
	}
}

// ReadOnly refuses the writes of user, who must be one of the users, with the
// answer of a registry where the user lacks the right: 403 DENIED. An empty
// user stands for everybody.
func ReadOnly(user string) Option {
	return func(r *RegistryServer) {
		r.intercept = append(r.intercept, func(w http.ResponseWriter, req *http.Request) bool {
			if !(Request{Method: req.Method}).IsWrite() || req.Header.Get(ownHeader) != "" {
				return false
			}
			u, p, ok := req.BasicAuth()
			// Who is not let in at all is told that, 401, by the registry.
			if user != "" && (u != user || !slices.Contains(r.users, authn.Basic{Username: u, Password: p})) ||
				user == "" && len(r.users) > 0 && !ok {
				return false
			}
			Refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
			return true
		})
	}
}

// Intercept shows f each request before the registry gets it; f returns true
// when it has answered. It stands for the faults of registries: see Refuse.
func Intercept(f func(http.ResponseWriter, *http.Request) bool) Option {
	return func(r *RegistryServer) { r.intercept = append(r.intercept, f) }
}

// Refuse answers with an error of the distribution protocol (OCI distribution
// specification, "Error Codes").
func Refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// silence turns off distribution's log, which goes to a logger of the process.
var silence = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// Registry starts a registry on a free port of 127.0.0.1; it ends with the test.
func Registry(t testing.TB, options ...Option) *RegistryServer {
	t.Helper()
	silence()
	r := &RegistryServer{t: t}
	for _, o := range options {
		o(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	app := handlers.NewApp(ctx, r.configuration())
	server := httptest.NewUnstartedServer(r.recorded(app))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted
	if r.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	r.Host = server.Listener.Addr().String()
	r.transport = marked{server.Client().Transport}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := app.Shutdown(); err != nil {
			t.Errorf("stopping the registry: %v", err)
		}
	})
	return r
}

func (r *RegistryServer) configuration() *configuration.Configuration {
	c := &configuration.Configuration{Storage: configuration.Storage{
		"delete": {"enabled": true},
		// The purger is a goroutine that would outlive its registry.
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.Secret = "testenv"
	if r.inMemory {
		c.Storage["inmemory"] = nil
	} else {
		c.Storage["filesystem"] = configuration.Parameters{"rootdirectory": r.t.TempDir()}
	}
	if len(r.users) == 0 {
		return c
	}
	var lines strings.Builder
	for _, u := range r.users {
		hash, err := bcrypt.GenerateFromPassword([]byte(u.Password), bcrypt.MinCost)
		if err != nil {
			r.t.Fatalf("hashing the password of %s: %v", u.Username, err)
		}
		fmt.Fprintf(&lines, "%s:%s\n", u.Username, hash)
	}
	file := filepath.Join(r.t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		r.t.Fatalf("writing the registry's users: %v", err)
	}
	c.Auth = configuration.Auth{"htpasswd": {"realm": "testenv", "path": file}}
	return c
}

// recorded logs what next is asked and what it answers.
func (r *RegistryServer) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		entry := &Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery}
		if req.Header.Get(ownHeader) == "" {
			r.mu.Lock()
			r.log = append(r.log, entry)
			r.mu.Unlock()
		}
		rec := &recorder{ResponseWriter: w, server: r, entry: entry}
		// net/http answers 200 for a handler that says nothing, and that is
		// sent after the handler returns.
		defer rec.answered(http.StatusOK)
		for _, f := range r.intercept {
			if f(rec, req) {
				return
			}
		}
		next.ServeHTTP(rec, req)
	})
}

// recorder notes the status before the client can see it, so that a test that
// has its answer finds it in the log.
type recorder struct {
	http.ResponseWriter
	server *RegistryServer
	entry  *Request
}

func (w *recorder) answered(status int) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.entry.Status == 0 {
		w.entry.Status = status
	}
}

func (w *recorder) WriteHeader(status int) {
	w.answered(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.answered(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Log returns the requests since the start or the last Reset, as they came.
func (r *RegistryServer) Log() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := make([]Request, len(r.log))
	for i, e := range r.log {
		log[i] = *e
	}
	return log
}

// Reset empties the log.
func (r *RegistryServer) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = nil
}

// Count returns how many requests of the log pred holds for; nil counts all.
func (r *RegistryServer) Count(pred func(Request) bool) int {
	n := 0
	for _, e := range r.Log() {
		if pred == nil || pred(e) {
			n++
		}
	}
	return n
}

// Writes returns the requests of the log that would change the registry.
func (r *RegistryServer) Writes() []Request {
	return slices.DeleteFunc(r.Log(), func(e Request) bool { return !e.IsWrite() })
}
