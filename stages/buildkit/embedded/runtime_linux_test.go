package embedded

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/oci"

	"github.com/moby/buildkit/client/llb"
)

func TestOCIRuntime(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	noRun := llb.Scratch().File(llb.Mkdir("/a", 0o755))
	run := noRun.Run(llb.Args([]string{"/a"})).Root()
	tests := map[string]struct {
		installed []string
		state     llb.State
		want      string // the program's name; "" is ErrNoRuntime
	}{
		"both":             {[]string{"crun", "runc"}, run, "runc"},
		"crun":             {[]string{"crun"}, run, "crun"},
		"none":             {nil, run, ""},
		"none, RUN below":  {nil, run.File(llb.Mkdir("/b", 0o755)), ""},
		"none and no RUN":  {nil, noRun, self},
		"runc and no RUN":  {[]string{"runc"}, noRun, "runc"},
		"nothing is built": {nil, llb.Scratch(), self},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			for _, name := range test.installed {
				check(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/false\n"), 0o755))
			}
			want := test.want
			if want != "" && want != self {
				want = filepath.Join(dir, want)
			}
			got, err := ociRuntime(marshal(t, test.state).Def)
			if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrNoRuntime) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	if got, err := ociRuntime([][]byte{[]byte("no definition")}); err == nil {
		t.Errorf("a broken definition gives %q and no error", got)
	}
}

// host is what there is to say about one docker.RegistryHost.
type host struct{ scheme, host, path string }

func TestRegistryHosts(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discard
	secure.StartTLS()
	defer secure.Close()
	http1, https1 := plain.Listener.Addr().String(), secure.Listener.Addr().String()
	hub := host{"https", "registry-1.docker.io", "/v2"}
	tests := map[string]struct {
		options oci.Options
		ask     string
		want    []host
	}{
		"docker.io":         {oci.Options{}, "docker.io", []host{hub}},
		"a registry":        {oci.Options{}, "example.org", []host{{"https", "example.org", "/v2"}}},
		"plain on loopback": {oci.Options{}, http1, []host{{"http", http1, "/v2"}}},
		"TLS on loopback":   {oci.Options{}, https1, []host{{"https", https1, "/v2"}}},
		"mirrors in order": {oci.Options{Mirrors: []string{"http://mirror.example", "https://other.example/pre/fix", http1, https1}}, "docker.io",
			[]host{{"http", "mirror.example", "/v2"}, {"https", "other.example", "/v2/pre/fix"}, {"http", http1, "/v2"}, {"https", https1, "/v2"}, hub}},
		"mirrors are of docker.io alone": {oci.Options{Mirrors: []string{"mirror.example"}}, "example.org", []host{{"https", "example.org", "/v2"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hosts, err := registryHosts(newSession(t, test.options))(test.ask)
			check(t, err)
			if len(hosts) != len(test.want) {
				t.Fatalf("got %d hosts, want %d", len(hosts), len(test.want))
			}
			for i, h := range hosts {
				if got := (host{h.Scheme, h.Host, h.Path}); got != test.want[i] {
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
