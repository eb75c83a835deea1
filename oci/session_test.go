package oci

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// lookups runs n look-ups at once, spread over repos.
func lookups(t *testing.T, n int, repos ...Repository) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for i := range n {
		group.Go(func() error {
			_, found, err := Lookup(ctx, repos[i%len(repos)], fmt.Sprintf("tag-%d", i))
			if found {
				t.Errorf("tag-%d is found in an empty registry", i)
			}
			return err
		})
	}
	check(t, group.Wait())
}

// What fifty look-ups cost is a contract.
func TestLookupCost(t *testing.T) {
	fifty := func(t *testing.T, s *Session, host string) (repos []Repository) {
		for i := range 50 {
			repos = append(repos, repository(t, s, fmt.Sprintf("%s/repo-%d", host, i)))
		}
		return repos
	}
	for _, test := range []struct {
		name  string
		start func(t *testing.T) (host, docker string)
		repos func(t *testing.T, s *Session, host string) []Repository
		want  int
	}{
		{"no auth, one repository", func(t *testing.T) (string, string) { return startRegistry(t), "" },
			func(t *testing.T, s *Session, host string) []Repository {
				return []Repository{repository(t, s, host+"/repo")}
			}, 50},
		{"basic auth, fifty repositories", func(t *testing.T) (string, string) {
			host := serve(t, newHandler(t, htpasswd(t)))
			return host, login(t, testUser, testPassword, host)
		}, fifty, 51},
		{"bearer, one repository", func(t *testing.T) (string, string) { return startRegistry(t, new(bearer).wrap), "" },
			func(t *testing.T, s *Session, host string) []Repository {
				return []Repository{repository(t, s, host+"/repo")}
			}, 52},
		{"bearer, fifty repositories", func(t *testing.T) (string, string) { return startRegistry(t, new(bearer).wrap), "" }, fifty, 52},
	} {
		t.Run(test.name, func(t *testing.T) {
			host, docker := test.start(t)
			transport := &recorder{}
			s := newSession(t, Options{Transport: transport, DockerConfig: docker})
			lookups(t, 50, test.repos(t, s, host)...)
			if got := len(transport.take()); got != test.want {
				t.Errorf("50 look-ups took %d requests, want %d", got, test.want)
			}
			if got := s.Requests(); got != (Stats{Total: test.want}) {
				t.Errorf("Requests is %+v, want %d and no write", got, test.want)
			}
		})
	}
}

// One token serves the reads of a run, a second one its writes.
func TestTokens(t *testing.T) {
	auth := &bearer{}
	host := startRegistry(t, auth.wrap)
	s := newSession(t, Options{})
	a, b := repository(t, s, host+"/a"), repository(t, s, host+"/b")
	lookups(t, 10, a, b)
	if auth.tokens != 1 {
		t.Errorf("%d tokens for reading two repositories, want 1", auth.tokens)
	}
	desc := pushImage(t, a, "x", linux)
	check(t, Copy(t.Context(), a, b, desc, nil))
	lookups(t, 10, a, b)
	if auth.tokens != 2 {
		t.Errorf("%d tokens for reading and writing two repositories, want 2", auth.tokens)
	}
	if got := s.Requests().Writes; got == 0 {
		t.Error("writes are not counted")
	}
}

func TestRepositoryIsShared(t *testing.T) {
	s := newSession(t, Options{})
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	for _, pair := range [][2]string{
		{"example.org/a:x", "example.org/a@" + someDigest.String()},
		{"oci:" + dir + ":x", "oci:" + filepath.Base(dir)},
	} {
		if repository(t, s, pair[0]) != repository(t, s, pair[1]) {
			t.Errorf("%s and %s are not one object", pair[0], pair[1])
		}
	}
	if _, err := s.Repository(Reference{}); err == nil {
		t.Error("the empty reference has a repository")
	}
}

func TestPlainHTTP(t *testing.T) {
	plain := startRegistry(t)
	secure := httptest.NewTLSServer(newHandler(t))
	t.Cleanup(secure.Close)
	secureHost := strings.TrimPrefix(secure.URL, "https://")
	for _, test := range []struct {
		host string
		want bool
	}{
		{plain, true},
		{secureHost, false},
		{"registry.invalid", false},
		{"registry.invalid:80", false},
		{"docker.io", false},
	} {
		if got := newSession(t, Options{}).PlainHTTP(t.Context(), test.host); got != test.want {
			t.Errorf("PlainHTTP(%s) is %t, want %t", test.host, got, test.want)
		}
	}

	// A loopback registry with TLS works, but its certificate counts.
	s := newSession(t, Options{})
	_, _, err := Lookup(t.Context(), repository(t, s, secureHost+"/a"), "x")
	wantError(t, err, "look up "+secureHost+"/a:x", "certificate", "--skip-tls-verify-registry")
	if !IsUnreachable(err) || IsDenied(err) || IsNotFound(err) {
		t.Errorf("%v is taken for something else", err)
	}
	s = newSession(t, Options{SkipTLSVerify: true})
	if !s.SkipTLSVerify() {
		t.Error("SkipTLSVerify is lost")
	}
	lookups(t, 3, repository(t, s, secureHost+"/a"))
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "127.1.2.3": true, "[::1]:5000": true, "[::1]": true,
		"example.org": false, "10.0.0.1:5000": false, "localhost.example.org": false, "": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) is %t", host, got)
		}
	}
}

// A host that is not loopback is spoken to with TLS; one that does not speak it
// works with --insecure-registry only, and the error says so.
func TestInsecure(t *testing.T) {
	host := startRegistry(t)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	s := newSession(t, Options{Transport: &http.Transport{DialContext: dial}})
	_, _, err := Lookup(t.Context(), repository(t, s, "registry.example:5000/a"), "x")
	wantError(t, err, "registry.example:5000/a:x", "HTTP response to HTTPS client", "--insecure-registry")

	s = newSession(t, Options{Insecure: true, Transport: &http.Transport{DialContext: dial}})
	s.host("registry.invalid").probe.Do(func() { s.host("registry.invalid").plain = true })
	lookups(t, 2, repository(t, s, "registry.invalid/a"))
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	host := listener.Addr().String()
	check(t, listener.Close())

	transport := &recorder{}
	s := newSession(t, Options{Transport: transport})
	_, _, err = Lookup(t.Context(), repository(t, s, host+"/a"), "x")
	wantError(t, err, "look up "+host+"/a:x", "connection refused", "can be reached")
	if !IsUnreachable(err) || IsDenied(err) || IsNotFound(err) {
		t.Errorf("%v is taken for something else", err)
	}
	if n := len(transport.take()); n != 1 {
		t.Errorf("a refused connection was tried %d times", n)
	}
}

func TestRetry(t *testing.T) {
	for _, test := range []struct {
		name           string
		status         int
		failures, want int
		ok             bool
	}{
		{"unavailable once", http.StatusServiceUnavailable, 1, 2, true},
		{"too many requests once", http.StatusTooManyRequests, 1, 2, true},
		{"not implemented", http.StatusNotImplemented, 100, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen atomic.Int32
			host := startRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if int(seen.Add(1)) <= test.failures {
						w.WriteHeader(test.status)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			s := newSession(t, Options{})
			_, _, err := Lookup(t.Context(), repository(t, s, host+"/a"), "x")
			if (err == nil) != test.ok {
				t.Errorf("error is %v", err)
			}
			if got := s.Requests().Total; got != test.want {
				t.Errorf("%d requests, want %d", got, test.want)
			}
		})
	}
}

func TestUserAgentAndCancel(t *testing.T) {
	var mu sync.Mutex
	agents := map[string]int{}
	host := startRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			agents[r.UserAgent()]++
			mu.Unlock()
			next.ServeHTTP(w, r)
		})
	})
	lookups(t, 1, repository(t, newSession(t, Options{}), host+"/a"))
	lookups(t, 1, repository(t, newSession(t, Options{UserAgent: "me/1"}), host+"/a"))
	if agents["slipway"] != 1 || agents["me/1"] != 1 {
		t.Errorf("agents seen: %v", agents)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Lookup(ctx, repository(t, newSession(t, Options{}), host+"/a"), "x")
	wantError(t, err, "context canceled")
	if IsUnreachable(err) {
		t.Error("a cancelled request is taken for an unreachable registry")
	}
}
