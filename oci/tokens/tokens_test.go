package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// somebody is an owner.
type somebody string

func (s somebody) Identity(string) (string, bool) { return string(s), s != "" }
func (s somebody) Secrets(context.Context, string) ([]string, error) {
	return []string{"pass-word"}, nil
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// server is a registry that asks for a token, and gives those of answer; %d in it
// is the number of the token.
type server struct {
	*httptest.Server
	answer string

	mu     sync.Mutex
	given  int
	asked  int // requests
	refuse string
}

func serve(t *testing.T, answer string) *server {
	s := &server{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	token := r.Header.Get("Authorization")
	switch {
	case r.URL.Path == "/token":
		s.given++
		fmt.Fprint(w, strings.ReplaceAll(s.answer, "%d", fmt.Sprint(s.given)))
	case token == "" || token == s.refuse:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="test"`, s.URL+"/token"))
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// run makes a request of a run at a time, and returns how many it took.
func (s *server) run(t *testing.T, dir string, who Owner, now time.Time) int {
	t.Helper()
	cache := New(dir, who)
	cache.now = func() time.Time { return now }
	client := &auth.Client{Client: &http.Client{Transport: Observer{http.DefaultTransport}}, Cache: cache}
	s.asked = 0
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v2/", nil)
	if err == nil {
		var resp *http.Response
		if resp, err = client.Do(req); err == nil {
			err = resp.Body.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.asked
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

func only(t *testing.T, dir string) (path string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v, want one file", entries, err)
	}
	return filepath.Join(dir, entries[0].Name())
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

const (
	cold = 3
	warm = 1
)

func TestFiles(t *testing.T) {
	s := serve(t, `{"token":"t%d","expires_in":300}`)
	dir := filepath.Join(t.TempDir(), "state", "tokens")
	want := func(when string, who somebody, at time.Duration, n int) {
		t.Helper()
		if got := s.run(t, dir, who, start.Add(at)); got != n {
			t.Errorf("%s: %d requests, want %d", when, got, n)
		}
	}
	want("nothing there", "a", 0, cold)
	path := only(t, dir)
	if mode(t, dir) != 0o700 || mode(t, path) != 0o600 {
		t.Errorf("modes %v and %v", mode(t, dir), mode(t, path))
	}
	want("kept", "a", time.Minute, warm)
	want("somebody else", "b", time.Minute, cold)
	want("nobody knows who", "", time.Minute, cold)
	want("near its end", "a", 270*time.Second, cold)
	want("a new one", "a", 271*time.Second, warm)
	want("before it was written", "a", -2*time.Hour, cold) // under another clock
	s.refuse = fmt.Sprintf("Bearer t%d", s.given)
	want("refused", "a", -2*time.Hour, cold)
	want("after that", "a", -2*time.Hour, warm)

	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"empty":        func() error { return os.WriteFile(path, nil, 0o600) },
		"torn":         func() error { return os.WriteFile(path, good[:len(good)-9], 0o600) },
		"not JSON":     func() error { return os.WriteFile(path, []byte("\x00\xff"), 0o600) },
		"another JSON": func() error { return os.WriteFile(path, []byte(`{"tokens":[]}`), 0o600) },
		"no header":    func() error { return os.WriteFile(path, []byte(strings.ReplaceAll(string(good), `"t`, `"\nt`)), 0o600) },
		"too long":     func() error { return os.WriteFile(path, append(good, make([]byte, maxFile)...), 0o600) },
		"too open":     func() error { return os.Chmod(path, 0o640) },
		"a directory":  func() error { return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			want("spoilt", "a", -2*time.Hour, cold)
			if name == "a directory" { // which is nobody's to remove
				want("still spoilt", "a", -2*time.Hour, cold)
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				want("removed", "a", -2*time.Hour, cold)
			}
			want("replaced", "a", -2*time.Hour, warm)
			if mode(t, path) != 0o600 {
				t.Errorf("mode %v", mode(t, path))
			}
		})
	}

	for _, open := range []os.FileMode{0o750, 0o707} {
		if err := os.Chmod(dir, open); err != nil {
			t.Fatal(err)
		}
		want(fmt.Sprintf("a directory of mode %v", open), "a", -2*time.Hour, cold)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir = range []string{"", file, filepath.Join(file, "tokens")} {
		want("no directory", "a", 0, cold)
		want("still none", "a", 0, cold)
	}
}

// One write drops what is over: in its file, and the files of other credentials.
func TestOldTokens(t *testing.T) {
	s := serve(t, `{"token":"t%d","expires_in":100000}`)
	dir := filepath.Join(t.TempDir(), "tokens")
	s.run(t, dir, somebody("a"), start)
	old := only(t, dir)
	if kept := readFile(old, start); !kept[""].Expires.Equal(start.Add(maxLife)) {
		t.Errorf("kept %v, want an hour", kept)
	}
	now := time.Now()
	writeFile(old, "x", entry{"x", now.Add(time.Minute)}, now)
	if kept := readFile(old, now); len(kept) != 1 || kept["x"].Token != "x" {
		t.Errorf("kept %v", kept)
	}
	for _, path := range []string{old, filepath.Join(dir, "1.new"), filepath.Join(dir, "else")} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now.Add(-2*maxLife))); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(filepath.Join(dir, fileName("b", []byte{1})), "x", entry{"x", now.Add(time.Minute)}, now)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "b@01.json" || entries[1].Name() != "else" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestForget(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	cache := New(dir, somebody("a"))
	for range 2 {
		if err := cache.Forget("host"); err != nil {
			t.Errorf("with nothing there: %v", err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"host", "host:80", "my-host", "HOST"} {
		for i := range byte(2) {
			writeFile(filepath.Join(dir, fileName(host, []byte{i})), "x", entry{"x", start.Add(time.Minute)}, start)
		}
	}
	if err := cache.Forget("Host"); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("left: %v, %v; want those of host:80 and my-host", entries, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, fileName("host", nil), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cache.Forget("host"); err == nil || !strings.Contains(err.Error(), "kept for host") {
		t.Errorf("%v", err)
	}
}

// Writers of one file leave a whole one, and nothing else.
func TestConcurrentWriters(t *testing.T) {
	s := serve(t, `{"token":"t%d","expires_in":300}`)
	dir := filepath.Join(t.TempDir(), "tokens")
	var group sync.WaitGroup
	for i := range 8 {
		cache := New(dir, somebody("a"))
		cache.now = func() time.Time { return start }
		client := &auth.Client{Client: &http.Client{Transport: Observer{http.DefaultTransport}}, Cache: cache}
		group.Go(func() {
			for j := range 8 {
				ctx := auth.AppendScopesForHost(context.Background(), s.host(), fmt.Sprintf("repository:%d-%d:pull", i, j))
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v2/", nil)
				if err == nil {
					var resp *http.Response
					if resp, err = client.Do(req); err == nil {
						err = resp.Body.Close()
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	kept := readFile(only(t, dir), start)
	if len(kept) == 0 {
		t.Error("nothing is kept")
	}
	var tokens []string
	for _, e := range kept {
		tokens = append(tokens, e.Token)
	}
	if slices.Sort(tokens); len(slices.Compact(tokens)) != len(kept) {
		t.Errorf("tokens for one thing are kept for another: %v", kept)
	}
}
