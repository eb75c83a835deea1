package oci

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// machine is where runs keep tokens, and who they are.
type machine struct {
	host, tokens, docker string
}

// run is a run of ten look-ups in ten repositories; it returns its requests.
func (m machine) run(t *testing.T) int {
	t.Helper()
	s := newSession(t, Options{TokenDir: m.tokens, DockerConfig: m.docker})
	var repos []Repository
	for i := range 10 {
		repos = append(repos, repository(t, s, fmt.Sprintf("%s/repo-%d", m.host, i)))
	}
	lookups(t, 10, repos...)
	return s.Requests().Total
}

// kept are the files of tokens.
func (m machine) kept(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(m.tokens, "*"))
	check(t, err)
	return paths
}

const (
	cold = 12 // a challenge, a token and ten look-ups
	warm = 10
)

func wantRuns(t *testing.T, m machine, when string, want ...int) {
	t.Helper()
	for i, n := range want {
		if got := m.run(t); got != n {
			t.Errorf("%s: run %d took %d requests, want %d", when, i+1, got, n)
		}
	}
}

// What a run costs whose token is there already is a contract.
func TestKeptTokens(t *testing.T) {
	auth := &bearer{}
	m := machine{startRegistry(t, auth.wrap), filepath.Join(t.TempDir(), "a", "tokens"), t.TempDir()}
	wantRuns(t, m, "at first", cold, warm, warm)
	auth.revoked = auth.tokens
	wantRuns(t, m, "after the token was revoked", cold, warm)

	// A token that is there and good for something else is replaced like that, too.
	files := m.kept(t)
	if len(files) != 1 {
		t.Fatalf("kept: %v", files)
	}
	raw, err := os.ReadFile(files[0])
	check(t, err)
	var kept struct {
		Tokens map[string]map[string]string `json:"tokens"`
	}
	check(t, json.Unmarshal(raw, &kept))
	for _, token := range kept.Tokens {
		token["token"] = "1000." + base64.RawURLEncoding.EncodeToString([]byte("repository:other:pull"))
	}
	raw, err = json.Marshal(kept)
	check(t, err)
	check(t, os.WriteFile(files[0], raw, 0o600))
	wantRuns(t, m, "with a token for another repository", cold, warm)

	m.tokens = ""
	wantRuns(t, m, "with no directory", cold, cold)
}

// Reading and writing have a token each, and both are kept.
func TestKeptTokensOfWrites(t *testing.T) {
	auth := &bearer{}
	host, dir := startRegistry(t, auth.wrap), t.TempDir()
	check(t, os.Chmod(dir, 0o700))
	for i := range 3 {
		s := newSession(t, Options{TokenDir: dir})
		repo := repository(t, s, host+"/a")
		lookups(t, 3, repo)
		pushImage(t, repo, fmt.Sprint(i), linux)
	}
	if auth.tokens != 2 {
		t.Errorf("%d tokens for three runs that read and write, want 2", auth.tokens)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A token is for whom it was given to.
func TestKeptTokensAndIdentity(t *testing.T) {
	host := startRegistry(t, giveAnybody)
	m := machine{host, filepath.Join(t.TempDir(), "tokens"), login(t, testUser, testPassword, host)}
	wantRuns(t, m, "logged in", cold, warm)

	other := m
	other.docker = login(t, "other", testPassword, host)
	wantRuns(t, other, "as somebody else", cold, warm)
	wantRuns(t, m, "as the first again", warm)
	elsewhere := m
	elsewhere.docker = login(t, testUser, testPassword, host, "registry.example")
	wantRuns(t, elsewhere, "with a changed configuration", cold, warm)

	// Whoever logs in or out with Slipway leaves no token of that registry.
	s := newSession(t, Options{TokenDir: m.tokens, DockerConfig: m.docker})
	_, err := s.Login(t.Context(), host, testUser, testPassword)
	check(t, err)
	if left := m.kept(t); len(left) > 0 {
		t.Errorf("left after a login: %v", left)
	}
	wantRuns(t, m, "logged in again", cold, warm)
	_, err = newSession(t, Options{TokenDir: m.tokens, DockerConfig: other.docker}).Logout(t.Context(), host)
	check(t, err)
	if left := m.kept(t); len(left) > 0 {
		t.Errorf("left after a logout: %v", left)
	}
	wantRuns(t, other, "logged out", cold, warm) // as anybody
	wantRuns(t, m, "still logged in elsewhere", cold, warm)

	// A session whose configuration changes keeps nothing: its token may be anybody's.
	s = newSession(t, Options{TokenDir: filepath.Join(m.tokens, "new"), DockerConfig: m.docker})
	_, err = s.Credential(t.Context(), host)
	check(t, err)
	writeFile(t, filepath.Join(m.docker, "config.json"), `{}`)
	lookups(t, 2, repository(t, s, host+"/a"))
	if _, err := os.Stat(filepath.Join(m.tokens, "new")); !os.IsNotExist(err) {
		t.Errorf("a token was kept (%v)", err)
	}
	insecure := newSession(t, Options{TokenDir: m.tokens, DockerConfig: other.docker, SkipTLSVerify: true})
	lookups(t, 1, repository(t, insecure, host+"/repo"))
	if n := insecure.Requests().Total; n != 3 {
		t.Errorf("%d requests without checking certificates, want 3", n)
	}
}

// giveAnybody gives everybody a token that is good for everything.
func giveAnybody(next http.Handler) http.Handler {
	var given atomic.Int32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"access_token":"opaque-%d","refresh_token":"never-kept","expires_in":3600}`, given.Add(1))
		case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer opaque-"):
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// What only a helper knows, and what the user has, is not written down.
func TestNotKept(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(testPassword))
	helpers := t.TempDir()
	writeFile(t, filepath.Join(helpers, "docker-credential-x"), "#!/bin/sh\necho '{\"Username\":\"user\",\"Secret\":\"password-of-helper\"}'\n")
	check(t, os.Chmod(filepath.Join(helpers, "docker-credential-x"), 0o700))
	t.Setenv("PATH", helpers+":"+os.Getenv("PATH"))
	for name, test := range map[string]struct{ answer, config string }{
		"password for a token":    {testPassword, ""},
		"base64 of the password":  {encoded, ""},
		"a helper for all":        {"opaque", `{"credsStore":"x"}`},
		"a helper for one":        {"opaque", `{"credHelpers":{"HOST":"x"}}`},
		"a token of the user":     {"unused", `{"auths":{"HOST":{"registrytoken":"opaque"}}}`},
		"an identity token":       {"the-identity", `{"auths":{"HOST":{"auth":"dXNlcjo=","identitytoken":"the-identity"}}}`},
		"not one for a header":    {`a\u007f`, ""},
		"configuration in ruins":  {"opaque", `{"auths":`},
		"longer than any request": {strings.Repeat("x", 200<<10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			host := startRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/token":
						fmt.Fprintf(w, `{"access_token":"%s","expires_in":3600}`, test.answer)
					case r.Header.Get("Authorization") == "":
						w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
						w.WriteHeader(http.StatusUnauthorized)
					default:
						next.ServeHTTP(w, r)
					}
				})
			})
			m := machine{host, filepath.Join(t.TempDir(), "tokens"), login(t, testUser, testPassword, host)}
			if test.config != "" {
				writeFile(t, filepath.Join(m.docker, "config.json"), strings.ReplaceAll(test.config, "HOST", host))
			}
			s := newSession(t, Options{TokenDir: m.tokens, DockerConfig: m.docker})
			_, _, err := Lookup(t.Context(), repository(t, s, host+"/a"), "x")
			if err != nil { // what cannot be used fails as it does without a directory
				t.Log(err)
			}
			if left := m.kept(t); len(left) > 0 {
				t.Errorf("kept: %v", left)
			}
		})
	}
}

// A run that is denied with a token of before is told whose it is, and leaves the
// next one to ask anew.
func TestDeniedWithKeptToken(t *testing.T) {
	var closed atomic.Bool
	host := startRegistry(t, func(next http.Handler) http.Handler {
		return giveAnybody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if closed.Load() {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		}))
	})
	m := machine{host, filepath.Join(t.TempDir(), "tokens"), login(t, testUser, testPassword, host)}
	wantRuns(t, m, "open", cold, warm)
	closed.Store(true)
	s := newSession(t, Options{TokenDir: m.tokens, DockerConfig: m.docker})
	for i := range 10 {
		repository(t, s, fmt.Sprintf("%s/repo-%d", host, i)) // for the scopes of the token
	}
	_, _, err := Lookup(t.Context(), repository(t, s, host+"/repo-0"), "x")
	wantError(t, err, "403 Forbidden", "the credentials for "+host)
	closed.Store(false)
	wantRuns(t, m, "open again", cold, warm)
	check(t, filepath.WalkDir(m.tokens, func(path string, _ fs.DirEntry, err error) error {
		if raw, readErr := os.ReadFile(path); readErr == nil && strings.Contains(string(raw), "never-kept") {
			t.Errorf("%s has a refresh token", path)
		}
		return err
	}))
}
