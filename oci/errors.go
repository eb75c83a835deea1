package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Error is what every operation on a repository fails with. Its text says what
// was being done to what, why it failed and what to do about it; it holds
// neither credentials nor tokens nor signed URLs.
type Error struct {
	Op  string // "push manifest", "look up"…
	Ref string // what it was done to
	Err error

	advice string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %s", e.Op, e.Ref, describe(e.Err))
	if e.advice != "" {
		s += "; " + e.advice
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// IsNotFound: the registry or layout has no such tag, manifest or blob.
func IsNotFound(err error) bool {
	return errors.Is(err, errdef.ErrNotFound) || hasStatus(err, http.StatusNotFound)
}

// IsDenied: the registry refuses for want of credentials or rights.
func IsDenied(err error) bool {
	return hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden) ||
		errors.Is(err, auth.ErrBasicCredentialNotFound)
}

// IsUnreachable: no conversation with the registry came about: no address, no
// connection, no TLS that both agree on, no answer.
func IsUnreachable(err error) bool {
	var netErr *url.Error
	return errors.As(err, &netErr) && !errors.Is(err, context.Canceled)
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func hasStatus(err error, status int) bool {
	var resp *errcode.ErrorResponse
	var other *statusError
	return errors.As(err, &resp) && resp.StatusCode == status || errors.As(err, &other) && other.status == status
}

// fail wraps an error of talking to a registry host. Only the innermost Error
// of a chain carries advice, so that it is given once.
func (s *Session) fail(op, ref, host string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := &Error{Op: op, Ref: ref, Err: err}
	if inner := (*Error)(nil); !errors.As(err, &inner) {
		wrapped.advice = s.advice(host, err)
	}
	return wrapped
}

// advice is what to do about an error.
func (s *Session) advice(host string, err error) string {
	var certificate *tls.CertificateVerificationError
	switch {
	case IsDenied(err):
		return s.credentials.advice(host)
	case errors.As(err, &certificate):
		return fmt.Sprintf("make the system trust the certificate of %s, or accept any with --skip-tls-verify-registry", host)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("%s speaks plain HTTP: allow that with --insecure-registry", host)
	case IsUnreachable(err):
		return fmt.Sprintf("check that %s is the registry's right name and that it can be reached from here", host)
	}
	return ""
}

// describe is an error's text for people: the registry's own words without the
// request's URL, and whatever else with the secrets that URLs may hold cut off.
func describe(err error) string {
	if several, ok := err.(joined); ok {
		return several.Error()
	}
	var inner *Error
	var resp *errcode.ErrorResponse
	var netErr *url.Error
	switch {
	case errors.As(err, &inner):
		return inner.Error()
	case errors.As(err, &resp):
		s := fmt.Sprintf("the registry answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		for _, e := range resp.Errors {
			s += fmt.Sprintf(": %s: %s", strings.ToLower(e.Code), e.Message)
		}
		return redact(s)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return "the registry wants a user name and a password"
	case errors.As(err, &netErr):
		return redact(netErr.Err.Error())
	}
	return redact(err.Error())
}

// joined is several failures on one line.
type joined []error

func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, err := range j {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (j joined) Unwrap() []error { return j }

var urlSecrets = regexp.MustCompile(`(https?://)(?:[^/\s"@]*@)?([^\s"?]*)(?:\?[^\s"]*)?`)

// redact cuts user names, passwords and queries off URLs: registries sign both
// upload sessions and redirects to their storage in the query.
func redact(s string) string {
	return urlSecrets.ReplaceAllString(s, "$1$2")
}
