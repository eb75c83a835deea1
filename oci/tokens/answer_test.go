package tokens

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

func jwt(claims string) string {
	return "aGVhZA." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func said(text string) *answer { return &answer{body: *bytes.NewBufferString(text)} }

func TestExpires(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{"token":"T"}`:                                                          time.Minute,
		`{"access_token":"T","expires_in":300}`:                                  5 * time.Minute,
		`{"token":"T","expires_in":"300"}`:                                       5 * time.Minute,
		`{"token":"T","expires_in":90.5}`:                                        90*time.Second + 500*time.Millisecond,
		`{"token":"T","expires_in":-1e300}`:                                      0,
		`{"token":"T","expires_in":1e300}`:                                       2 * maxLife,
		`{"token":"T","expires_in":300} trailer`:                                 5 * time.Minute,
		`{"token":"T","expires_in":300,"issued_at":"2026-01-02T03:03:05Z"}`:      4 * time.Minute,
		`{"token":"T","expires_in":300,"issued_at":"2026-01-02T03:03:05+00:01"}`: 3 * time.Minute,
		`{"token":"T","expires_in":300,"issued_at":"2026-01-02T03:05:05Z"}`:      5 * time.Minute,
		`{"token":"T","expires_in":300,"issued_at":"yesterday"}`:                 5 * time.Minute,
	} {
		if got := said(text).expires("T", start).Sub(start); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{
		``, `{"token":"other","expires_in":300}`, `{"refresh_token":"T","expires_in":300}`, `{"token":"T","expires_in":"soon"}`,
		`{"token":"T","expires_in":[]}`, `{"token":"T","expires_in":1e400}`, `{"token":"T","expi`, `["T"]`,
	} {
		if got := said(text).expires("T", start); !got.IsZero() {
			t.Errorf("%s: %v, want none", text, got)
		}
	}
	// The token's own word counts where it is shorter.
	for claims, want := range map[string]time.Duration{
		fmt.Sprintf(`{"exp":%d}`, start.Unix()+100):   100 * time.Second,
		fmt.Sprintf(`{"exp":%d.5}`, start.Unix()+100): 100 * time.Second,
		fmt.Sprintf(`{"exp":%d}`, start.Unix()+301):   5 * time.Minute,
		`{"exp":1e300}`: 5 * time.Minute, `{"exp":"x"}`: 5 * time.Minute, `{}`: 5 * time.Minute, `{`: 5 * time.Minute,
		`{"exp":-1e300}`: time.Unix(0, 0).Sub(start),
	} {
		token := jwt(claims)
		if got := said(fmt.Sprintf(`{"token":%q,"expires_in":300}`, token)).expires(token, start).Sub(start); got != want {
			t.Errorf("%s: %v, want %v", claims, got, want)
		}
	}
}

func TestHolds(t *testing.T) {
	const secret = "pass~word>?"
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		token := encoding.EncodeToString([]byte("user:" + secret))
		if !holds(token, []string{"", secret}) || !holds("aGVhZA."+token+".c2ln", []string{secret}) {
			t.Errorf("%s is not seen to hold %s", token, secret)
		}
	}
	if !holds("x"+secret, []string{secret}) || !holds(jwt(`{"pass":"`+secret+`"}`), []string{secret}) {
		t.Error("a secret in plain sight is not seen")
	}
	if holds(jwt(`{"sub":"user"}`), []string{"", secret}) || holds(strings.Repeat("x", 99), nil) {
		t.Error("a secret is seen where there is none")
	}
}
