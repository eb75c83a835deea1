package main

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// A registry whose certificate nobody trusts, in each place that a registry can
// be: refused with advice, and taken with the flag, with its variable, or when
// the system is made to trust it. BuildKit's own pulls and pushes are among it.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	type way struct{ args, env []string }
	secured, open := testenv.Registry(t, testenv.TLS()), testenv.Registry(t)
	for _, r := range []*testenv.RegistryServer{secured, open} {
		r.PushImage("base:1", smallBase(t))
		r.PushImage("library/base:latest", smallBase(t))
	}
	places := map[string]struct{ base, repo, to, mirror string }{
		"repository": {open.Host + "/base:1", secured.Host, open.Host, ""},
		"tag":        {open.Host + "/base:1", open.Host, secured.Host, ""},
		"base":       {secured.Host + "/base:1", open.Host, open.Host, ""},
		"mirror":     {"base", open.Host, open.Host, secured.Host},
		"everything": {secured.Host + "/base:1", secured.Host, secured.Host, ""},
	}
	flag := map[string]way{"flag": {[]string{"--skip-tls-verify-registry"}, nil}}
	ways := map[string]way{
		"flag":     flag["flag"],
		"variable": {nil, []string{"WERF_SKIP_TLS_VERIFY_REGISTRY=true"}},
		"trusted":  {nil, []string{"SSL_CERT_FILE=" + certificate(t, secured)}},
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := copyApp(t, place.base)
			export := func(in string, more []string, env ...string) testenv.Result {
				args := []string{"export", "--repo", place.repo + "/" + in, "--tag", place.to + "/" + in + "-published:v1"}
				if place.mirror != "" {
					args = append(args, "--container-registry-mirror", place.mirror)
					env = append(env, offline...)
				}
				return testenv.Slipway(t).Run(repo.Dir, env, append(args, more...)...)
			}
			r := export(name+"-refused", nil)
			if r.Code != 1 {
				t.Errorf("exit code %d, want 1", r.Code)
			}
			for _, want := range []string{secured.Host, "certificate", "--skip-tls-verify-registry"} {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("no %q in:\n%s", want, r.Stderr)
				}
			}
			if strings.Contains(r.Stderr, "--insecure-registry") {
				t.Errorf("advice that would not help:\n%s", r.Stderr)
			}
			to := open
			if place.to == secured.Host {
				to = secured
			}
			work := flag
			if name == "everything" {
				work = ways
			}
			for way, w := range work {
				if r := export(name+"-"+way, w.args, w.env...); r.Code != 0 {
					t.Errorf("%s: exit code %d\n%s", way, r.Code, r.Stderr)
				} else if to.Digest(name+"-"+way+"-published:v1") == "" {
					t.Errorf("%s: nothing is published", way)
				}
			}
		})
	}
}

// offline makes requests that would leave the machine fail at once: they are sent
// to a proxy that is not there. Loopback is never proxied.
var offline = []string{"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}

// certificate keeps the certificate of a registry in a file. It is self-signed,
// so to trust it is to trust the registry.
func certificate(t *testing.T, registry *testenv.RegistryServer) string {
	t.Helper()
	conn, err := tls.Dial("tcp", registry.Host, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Plain HTTP: loopback needs no flag, under none of its names; any other name
// does. 0.0.0.0 is this machine, too, and not a loopback address.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	registry.PushImage("base:1", smallBase(t))
	_, port, _ := strings.Cut(registry.Host, ":")
	cases := []struct {
		name, host string
		args, env  []string
		code       int
	}{
		{"address", "127.0.0.1", nil, nil, 0},
		{"localhost", "localhost", nil, nil, 0},
		{"another", "0.0.0.0", nil, nil, 1},
		{"flag", "0.0.0.0", []string{"--insecure-registry"}, nil, 0},
		{"variable", "0.0.0.0", nil, []string{"WERF_INSECURE_REGISTRY=1"}, 0},
		// Not verifying certificates does not mean doing without TLS.
		{"wrong-flag", "0.0.0.0", []string{"--skip-tls-verify-registry"}, nil, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := c.host + ":" + port
			repo := copyApp(t, host+"/base:1")
			args := append([]string{"export", "--repo", host + "/" + c.name, "--tag", host + "/" + c.name + "-published:v1"}, c.args...)
			r := testenv.Slipway(t).Run(repo.Dir, c.env, args...)
			if r.Code != c.code {
				t.Errorf("exit code %d, want %d\n%s", r.Code, c.code, r.Stderr)
			}
			if published := registry.Digest(c.name+"-published:v1") != ""; published != (c.code == 0) {
				t.Errorf("published: %v", published)
			}
			if c.code != 0 && !strings.Contains(r.Stderr, "plain HTTP: allow that with --insecure-registry") {
				t.Errorf("no advice:\n%s", r.Stderr)
			}
		})
	}
}
