package oci

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/distribution/reference"
)

// Mirror is a place that serves docker.io's images.
type Mirror struct {
	Host       string // HOST[:PORT]
	Prefix     string // put before the repository's name; may be empty
	PlainHTTP  bool
	SkipVerify bool
}

// mirror is a Mirror before it is known whether it speaks TLS.
type mirror struct {
	scheme, host, prefix string // scheme is empty if the user gave none
}

// parseMirrors reads the values of --container-registry-mirror.
func parseMirrors(values []string) ([]mirror, error) {
	mirrors := make([]mirror, 0, len(values))
	for _, value := range values {
		m := mirror{}
		rest := value
		if scheme, after, ok := strings.Cut(value, "://"); ok {
			m.scheme, rest = scheme, after
		}
		m.host, m.prefix, _ = strings.Cut(strings.Trim(rest, "/"), "/")
		address, err := url.Parse("//" + m.host)
		valid := err == nil && m.host != "" && address.Host == m.host &&
			(m.scheme == "" || m.scheme == "http" || m.scheme == "https")
		if valid && m.prefix != "" {
			_, err := reference.WithName("mirror.invalid/" + m.prefix)
			valid = err == nil
		}
		if !valid {
			// A value with user:password@ is refused, too, and not repeated.
			return nil, fmt.Errorf("invalid registry mirror %q: it must be [http://|https://]HOST[:PORT][/PREFIX]", redact("http://" + rest)[len("http://"):])
		}
		mirrors = append(mirrors, m)
	}
	return mirrors, nil
}

// Mirrors are the mirrors of docker.io, in the order in which they are asked.
func (s *Session) Mirrors(ctx context.Context) []Mirror {
	mirrors := make([]Mirror, len(s.mirrors))
	for i, m := range s.mirrors {
		mirrors[i] = Mirror{Host: m.host, Prefix: m.prefix, SkipVerify: s.opts.SkipTLSVerify}
		switch m.scheme {
		case "http":
			mirrors[i].PlainHTTP = true
		case "":
			mirrors[i].PlainHTTP = s.PlainHTTP(ctx, m.host)
		}
	}
	return mirrors
}
