package remote

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A server says what is wrong with a client's certificate when the client may be
// writing already: the refusal is the error, not the connection that ends with it.
func TestRefusedAfterHandshake(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	host := server.Listener.Addr().String()
	address, err := ParseAddress("tcp://" + host + "?servername=example.com&ca=" + ca)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := address.transport()
	if err != nil {
		t.Fatal(err)
	}
	dial, err := dialer(address)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{dial: dial}
	raw, err := l.connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := transport.ClientHandshake(t.Context(), "example.com", raw)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for err == nil { // what the kernel still takes is no failure
		_, err = conn.Write([]byte("hello"))
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(err.Error(), "certificate required") || l.last() == nil || !strings.Contains(l.last().Error(), "certificate required") {
		t.Errorf("the error is %v, and the line knows of %v", err, l.last())
	}
}
