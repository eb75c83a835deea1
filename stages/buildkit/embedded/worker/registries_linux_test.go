package worker

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"slipway/oci"
)

var discard = log.New(io.Discard, "", 0)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newSession is a session of the worker's: it is made of what another tells.
func newSession(t *testing.T, o oci.Options) *oci.Session {
	t.Helper()
	o.DockerConfig = t.TempDir()
	s, err := oci.NewSession(o)
	check(t, err)
	s, err = oci.NewSession(s.Options())
	check(t, err)
	return s
}

// target is what there is to say about one docker.RegistryHost.
type target struct{ scheme, host, path string }

func TestRegistryHosts(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discard
	secure.StartTLS()
	defer secure.Close()
	http1, https1 := plain.Listener.Addr().String(), secure.Listener.Addr().String()
	hub := target{"https", "registry-1.docker.io", "/v2"}
	tests := map[string]struct {
		options oci.Options
		ask     string
		want    []target
	}{
		"docker.io":         {oci.Options{}, "docker.io", []target{hub}},
		"a registry":        {oci.Options{}, "example.org", []target{{"https", "example.org", "/v2"}}},
		"plain on loopback": {oci.Options{}, http1, []target{{"http", http1, "/v2"}}},
		"TLS on loopback":   {oci.Options{}, https1, []target{{"https", https1, "/v2"}}},
		"mirrors in order": {oci.Options{Mirrors: []string{"http://mirror.example", "https://other.example/pre/fix", http1, https1}}, "docker.io",
			[]target{{"http", "mirror.example", "/v2"}, {"https", "other.example", "/v2/pre/fix"}, {"http", http1, "/v2"}, {"https", https1, "/v2"}, hub}},
		"mirrors are of docker.io alone": {oci.Options{Mirrors: []string{"mirror.example"}}, "example.org", []target{{"https", "example.org", "/v2"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hosts, err := registryHosts(newSession(t, test.options))(test.ask)
			check(t, err)
			if len(hosts) != len(test.want) {
				t.Fatalf("got %d hosts, want %d", len(hosts), len(test.want))
			}
			for i, h := range hosts {
				if got := (target{h.Scheme, h.Host, h.Path}); got != test.want[i] {
					t.Errorf("host %d is %v, want %v", i, got, test.want[i])
				}
			}
		})
	}
}

// Whether certificates count is as the session has it, for mirrors too.
func TestSkipVerify(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	address := server.Listener.Addr().String()
	for _, skip := range []bool{false, true} {
		s := newSession(t, oci.Options{SkipTLSVerify: skip, Mirrors: []string{"https://" + address}})
		for _, ask := range []string{address, "docker.io"} {
			hosts, err := registryHosts(s)(ask)
			check(t, err)
			resp, err := hosts[0].Client.Get(server.URL)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != skip || err != nil && !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%s, skip %v: %v", ask, skip, err)
			}
		}
	}
}
