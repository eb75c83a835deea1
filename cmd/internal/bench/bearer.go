package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	tokenPath = "/token"
	user      = "bench"
	password  = "bench"
)

// bearer is a handler that lets in who has a token for the repository, and
// gives tokens for a password, as the distribution project's "Token
// Authentication Specification" has it.
type bearer struct {
	next  http.Handler
	realm string // the address of tokens

	mu     sync.Mutex
	tokens map[string][]string // scopes, "repository:NAME:ACTION"
}

func newBearer(next http.Handler, realm string) *bearer {
	return &bearer{next: next, realm: realm, tokens: map[string][]string{}}
}

func (b *bearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == tokenPath {
		b.give(w, r)
		return
	}
	scope := scopeOf(r)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	b.mu.Lock()
	scopes, known := b.tokens[token]
	b.mu.Unlock()
	if !known || scope != "" && !slices.Contains(scopes, scope) {
		challenge := fmt.Sprintf(`Bearer realm=%q,service="bench"`, b.realm)
		if scope != "" {
			challenge += fmt.Sprintf(",scope=%q", scope)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	b.next.ServeHTTP(w, r)
}

// scopeOf is what a request needs; "" is any token.
func scopeOf(r *http.Request) string {
	path, _ := strings.CutPrefix(r.URL.Path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if at := strings.LastIndex(path, kind); at > 0 {
			action := "pull"
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				action = "push"
			}
			return "repository:" + path[:at] + ":" + action
		}
	}
	return ""
}

// give answers a request for a token, by GET with a password or by POST as OAuth2
// has it.
func (b *bearer) give(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u, p, ok := r.BasicAuth()
	if !ok {
		u, p = r.PostForm.Get("username"), r.PostForm.Get("password")
	}
	if u != user || p != password {
		http.Error(w, "no such user", http.StatusUnauthorized)
		return
	}
	var scopes []string
	for _, value := range r.Form["scope"] {
		for scope := range strings.FieldsSeq(value) {
			at := strings.LastIndex(scope, ":")
			for action := range strings.SplitSeq(scope[at+1:], ",") {
				scopes = append(scopes, scope[:at+1]+action)
			}
		}
	}
	b.mu.Lock()
	token := fmt.Sprintf("token-%d", len(b.tokens)+1)
	b.tokens[token] = scopes
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"token": token, "access_token": token, "expires_in": 300, "issued_at": time.Now().UTC().Format(time.RFC3339),
	})
}
