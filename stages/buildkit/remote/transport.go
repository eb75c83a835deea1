package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc/credentials"
)

// transport is TLS as the address wants it, nil if it wants none.
func (a Address) transport() (credentials.TransportCredentials, error) {
	if !a.tls {
		return nil, nil
	}
	config := &tls.Config{ServerName: a.serverName, MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, fmt.Errorf("%s: ca: %w", a.Name, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: ca: %s has no certificate in PEM", a.Name, a.ca)
		}
	}
	if a.cert != "" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("%s: cert and key: %w", a.Name, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return refusing{credentials.NewTLS(config)}, nil
}

// refusing is TLS whose server may refuse the client when that takes the
// connection for made: since TLS 1.3 (RFC 8446, section 4.4.2.4), what is wrong
// with the client's certificate is said after the handshake.
type refusing struct {
	credentials.TransportCredentials
}

func (r refusing) Clone() credentials.TransportCredentials {
	return refusing{r.TransportCredentials.Clone()}
}

func (r refusing) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if w, ok := raw.(*watched); ok && err == nil {
		conn = &refused{conn, w}
	}
	return conn, info, err
}

// refused is a connection that tells the line of a refusal.
type refused struct {
	net.Conn
	raw *watched
}

// Write can fail before the refusal was read, which is what the failure comes of.
func (r *refused) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	if err := r.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return n, err
	}
	var alert *net.OpError
	if _, cause := r.Conn.Read(make([]byte, 1)); errors.As(cause, &alert) && alert.Op == "remote error" {
		r.raw.line.turn(cause)
		return n, cause
	}
	return n, err
}
