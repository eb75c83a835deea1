package oci

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRegistry(t *testing.T) {
	for given, want := range map[string]string{
		"example.org": "example.org", "example.org:5000": "example.org:5000", "localhost": "localhost",
		"127.0.0.1:5000": "127.0.0.1:5000", "[::1]:5000": "[::1]:5000",
		"docker.io": "docker.io", "index.docker.io": "docker.io", "registry-1.docker.io": "docker.io",
		"https://index.docker.io/v1/": "docker.io",
	} {
		if got, err := ParseRegistry(given); err != nil || got != want {
			t.Errorf("%s: %q, %v", given, got, err)
		}
	}
	for given, want := range map[string]string{
		"": "missing", "https://example.org": "without a scheme", "example.org/group": "write example.org",
		"example": "docker.io", "exa mple.org": "write HOST", "user@example.org": "write HOST", "example.org?x": "write HOST",
	} {
		if got, err := ParseRegistry(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", given, got, err, want)
		}
	}
}

// tokenServer is a registry whose tokens are for who knows the password. It says
// in its error what it was told.
func tokenServer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, _ := r.BasicAuth(); {
		case r.URL.Path == "/token" && user == testUser && password == testPassword:
			fmt.Fprint(w, `{"access_token":"right"}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
			message, _ := json.Marshal(fmt.Sprintf("%s is not %s", password, r.Header.Get("Authorization")))
			fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":%s}]}`, message)
		case r.Header.Get("Authorization") != "Bearer right":
			scheme := "http"
			if r.Host == dockerHubHost {
				scheme = "https" // a password is not sent from there to anywhere in the clear
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/token",service="test"`, scheme, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// lenient lets everybody in but who gives a wrong password.
func lenient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); ok && (user != testUser || password != testPassword) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Credentials are checked as the registry wants it, and those that are wrong leave
// nothing behind.
func TestLogin(t *testing.T) {
	for _, test := range []struct {
		name    string
		start   func(t *testing.T) string
		checked bool
	}{
		{"basic", func(t *testing.T) string { return serve(t, newHandler(t, htpasswd(t))) }, true},
		{"token", func(t *testing.T) string { return startRegistry(t, tokenServer) }, true},
		{"asks nobody", func(t *testing.T) string { return startRegistry(t, lenient) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			host, dir := test.start(t), filepath.Join(t.TempDir(), "docker")
			s := newSession(t, Options{DockerConfig: dir})
			const wrong = "wr\"ong/secret"
			_, err := s.Login(t.Context(), host, testUser, wrong)
			wantError(t, err, "log in to "+host, "401 Unauthorized", "wrong", "nothing was stored")
			for _, form := range []string{wrong, `wr\"ong`, base64.StdEncoding.EncodeToString([]byte(testUser + ":" + wrong))} {
				if strings.Contains(err.Error(), form) {
					t.Errorf("%v", err)
				}
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was stored")
			}
			checked, err := s.Login(t.Context(), host, testUser, testPassword)
			if err != nil || checked != test.checked {
				t.Fatalf("checked %t, %v", checked, err)
			}
			// Another session finds them, under no matter what has been asked for.
			credential, err := newSession(t, Options{DockerConfig: dir}).Credential(t.Context(), host)
			if err != nil || credential.Username != testUser || credential.Password != testPassword {
				t.Errorf("%v", err)
			}
			info, err := os.Stat(filepath.Join(dir, "config.json"))
			check(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v", info.Mode())
			}
		})
	}
	s := newSession(t, Options{})
	_, err := s.Login(t.Context(), startRegistry(t), "user:name", testPassword)
	wantError(t, err, "no colon")
	notRegistry := serve(t, http.NotFoundHandler())
	_, err = s.Login(t.Context(), notRegistry, testUser, testPassword)
	wantError(t, err, notRegistry, "there is no registry")
}

// Docker Hub has one address in the configuration, whatever people call it, and
// everything else of the file stays; a link to it, too.
func TestLoginToDockerHub(t *testing.T) {
	host := startRegistry(t, tokenServer)
	hub := &recorder{redirect: map[string]string{dockerHubHost: host}}
	dir, dotfiles := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dotfiles, "config.json"), `{"HttpHeaders": {"a": "<b>"}, "auths": {"other.example.org": {"auth": "eDp5", "email": "x@example.org"}, "docker.io": {"auth": "eDp5"}}, "detachKeys": "ctrl-e,e"}`)
	check(t, os.Symlink(filepath.Join(dotfiles, "config.json"), filepath.Join(dir, "config.json")))
	s := newSession(t, Options{DockerConfig: dir, Transport: hub})
	_, err := s.Login(t.Context(), dockerHub, testUser, testPassword)
	check(t, err)
	var config struct {
		HttpHeaders map[string]string
		DetachKeys  string
		Auths       map[string]map[string]string
	}
	read := func() {
		t.Helper()
		config.Auths = nil
		raw, err := os.ReadFile(filepath.Join(dotfiles, "config.json"))
		check(t, err)
		check(t, json.Unmarshal(raw, &config))
		if config.HttpHeaders["a"] != "<b>" || config.DetachKeys != "ctrl-e,e" || config.Auths["other.example.org"]["email"] != "x@example.org" {
			t.Errorf("the file lost something: %s", raw)
		}
	}
	read()
	if got := config.Auths["https://index.docker.io/v1/"]["auth"]; got != base64.StdEncoding.EncodeToString([]byte(testUser+":"+testPassword)) {
		t.Errorf("%v", config.Auths)
	}
	for i, want := range []bool{true, false} {
		if found, err := s.Logout(t.Context(), dockerHub); err != nil || found != want {
			t.Errorf("logout %d: found %t, %v", i+1, found, err)
		}
	}
	if read(); len(config.Auths) != 1 {
		t.Errorf("left: %v", config.Auths)
	}
}

// A token that somebody put where Docker has USER:PASSWORD is not shown.
func TestMalformedCredentials(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"auths": {"example.org": {"auth": %q}}}`, base64.StdEncoding.EncodeToString([]byte(testPassword))))
	_, err := newSession(t, Options{DockerConfig: dir}).Credential(t.Context(), "example.org")
	wantError(t, err, "example.org", "USER:PASSWORD")
}
