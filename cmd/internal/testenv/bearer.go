package testenv

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Bearer lets in who has a token for the repository, and gives tokens to user for
// the password, as distribution's "Token Authentication Specification" has it.
// Requests for tokens are in the log, too.
func Bearer(user, password string) Option {
	var mu sync.Mutex
	tokens := map[string][]string{} // scopes
	give := func(w http.ResponseWriter, req *http.Request) {
		if u, p, _ := req.BasicAuth(); u != user || p != password {
			Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong password")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		token := fmt.Sprintf("token-%d", len(tokens)+1)
		tokens[token] = req.URL.Query()["scope"]
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
	}
	return Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Header.Get(ownHeader) != "" {
			return false
		}
		if req.URL.Path == "/token" {
			give(w, req)
			return true
		}
		name, action := strings.TrimPrefix(req.URL.Path, "/v2/"), "pull"
		for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
			name, _, _ = strings.Cut(name, kind)
		}
		if (Request{Method: req.Method}).IsWrite() {
			action = "push"
		}
		mu.Lock()
		scopes, known := tokens[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")]
		mu.Unlock()
		good := known && (name == "" || slices.ContainsFunc(scopes, func(scope string) bool {
			actions, ok := strings.CutPrefix(scope, "repository:"+name+":")
			return ok && slices.Contains(strings.Split(actions, ","), action)
		}))
		if good {
			return false
		}
		challenge := fmt.Sprintf(`Bearer realm="http://%s/token",service="testenv"`, req.Host)
		if name != "" {
			challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, name, action)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	})
}
