package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxAnswer is how much of an answer the auth client reads.
const maxAnswer = 128 << 10

// answerKey is the context key of an *answer that is waited for.
type answerKey struct{}

// answer is what a token server said: an auth.Cache learns the token alone, and
// not for how long it is good.
type answer struct{ body bytes.Buffer }

// Observer is a transport that lets a Cache see what token servers answer. It
// changes neither requests nor responses.
type Observer struct{ Base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o Observer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.Base.RoundTrip(req)
	// The context is that of one fetching of a token, so nothing else has an answer.
	if a, ok := req.Context().Value(answerKey{}).(*answer); ok && err == nil && resp.StatusCode == http.StatusOK {
		resp.Body = &observed{resp.Body, &a.body}
	}
	return resp, err
}

// observed remembers what is read through it.
type observed struct {
	io.ReadCloser
	seen *bytes.Buffer
}

func (o *observed) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if n > 0 && o.seen.Len() < maxAnswer {
		o.seen.Write(p[:n])
	}
	return n, err
}

// expires is when a token that was asked for at a time ends to be good ("Token
// Authentication Specification" of the distribution project, "Token Response
// Fields"). It is zero if the token is not from the answer: it is then one that
// the user has, with a life that nobody knows.
func (a *answer) expires(token string, asked time.Time) time.Time {
	var fields struct {
		Token       string      `json:"token"`
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
		IssuedAt    string      `json:"issued_at"`
	}
	if err := json.NewDecoder(&a.body).Decode(&fields); err != nil || token != fields.Token && token != fields.AccessToken {
		return time.Time{}
	}
	seconds := 60.0
	if fields.ExpiresIn != "" {
		var err error
		if seconds, err = fields.ExpiresIn.Float64(); err != nil {
			return time.Time{}
		}
	}
	issued := asked // a time later than that is another clock's
	if at, err := time.Parse(time.RFC3339, fields.IssuedAt); err == nil && at.Before(asked) {
		issued = at
	}
	seconds = min(max(seconds, 0), 2*maxLife.Seconds())
	expires := issued.Add(time.Duration(seconds * float64(time.Second)))
	if exp, ok := claimedExpiry(token); ok && exp.Before(expires) {
		return exp
	}
	return expires
}

// claimedExpiry is the exp of a JWT (RFC 7519, section 4.1.4). Whether the token is
// genuine is for the registry to find out.
func claimedExpiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp *float64 `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Exp == nil {
		return time.Time{}, false
	}
	return time.Unix(int64(min(max(*claims.Exp, 0), 1<<40)), 0), true
}

// holds tells whether a token shows one of the secrets to whoever reads it: a
// server may answer with the password itself, or with base64 of it.
func holds(token string, secrets []string) bool {
	texts := []string{token}
	for part := range strings.SplitSeq(token, ".") {
		part = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(part, "="))
		if raw, err := base64.RawStdEncoding.DecodeString(part); err == nil {
			texts = append(texts, string(raw))
		}
	}
	return slices.ContainsFunc(secrets, func(secret string) bool {
		return secret != "" && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, secret) })
	})
}
