package remote

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]Address{
		"unix:///run/buildkit/buildkitd.sock":         {Name: "unix:///run/buildkit/buildkitd.sock"},
		"unix:///run/b.sock?limit=3":                  {Name: "unix:///run/b.sock", Limit: 3},
		"tcp://builder:1234":                          {Name: "tcp://builder:1234"},
		"tcp://[::1]:1234":                            {Name: "tcp://[::1]:1234"},
		"tcp://b:1?servername=b.example.org":          {Name: "tcp://b:1", tls: true, serverName: "b.example.org"},
		"tcp://b:1?ca=a/ca.pem&cert=c&key=k&limit=4":  {Name: "tcp://b:1", Limit: 4, tls: true, ca: "a/ca.pem", cert: "c", key: "k"},
		"docker-container://build_kit.d-0":            {Name: "docker-container://build_kit.d-0"},
		"docker-container://b?limit=2&context=far":    {Name: "docker-container://b?context=far", Limit: 2},
		"kube-pod://buildkitd-0":                      {Name: "kube-pod://buildkitd-0"},
		"kube-pod://b?namespace=ci&context=a&limit=1": {Name: "kube-pod://b?context=a&namespace=ci", Limit: 1},
		"kube-pod://b?container=buildkitd":            {Name: "kube-pod://b?container=buildkitd"},
	} {
		got, err := ParseAddress(text)
		got.url = nil
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
}

// Whatever is not understood is refused, with what to write instead.
func TestParseAddressRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "write one of unix://PATH",
		"/run/b.sock":                         "write unix:///run/b.sock",
		"builder:1234":                        "write tcp://builder:1234",
		"127.0.0.1:1234":                      "write tcp://127.0.0.1:1234",
		"[::1]:1234":                          "write one of",
		"builder":                             "write one of unix://PATH",
		"ssh://host":                          "there are no builders of the kind ssh; there are unix://PATH",
		"tcp://builder":                       "write tcp://HOST:PORT",
		"tcp://builder:0":                     "write tcp://HOST:PORT",
		"tcp://builder:99999":                 "write tcp://HOST:PORT",
		"tcp://builder:1/path":                "write tcp://HOST:PORT",
		"tcp://:1234":                         "write tcp://HOST:PORT",
		"tcp://builder:x":                     "invalid port",
		"tcp://user:secret@builder:1":         "write tcp://HOST:PORT",
		"tcp://b:1#f":                         "write tcp://HOST:PORT",
		"unix://run/b.sock":                   "write unix:///run/buildkit/buildkitd.sock",
		"unix:///":                            "write unix:///run",
		"unix:///a?ca=c":                      `unix:// has no option "ca"; it has limit`,
		"tcp://b:1?cacert=c":                  `tcp:// has no option "cacert"; it has ca, cert, key, servername, limit`,
		"tcp://b:1?ca=":                       "write ca=VALUE once",
		"tcp://b:1?ca=a&ca=b":                 "write ca=VALUE once",
		"tcp://b:1?cert=c":                    "cert and key are needed together",
		"tcp://b:1?limit=0":                   "limit is a number of builds, 1 or more",
		"tcp://b:1?limit=many":                "limit is a number of builds, 1 or more",
		"tcp://b:1?limit=%zz":                 "invalid URL escape",
		"docker-container://":                 "write docker-container://NAME",
		"docker-container://-v":               "write docker-container://NAME",
		"docker-container://a/b":              "write docker-container://NAME",
		"kube-pod://":                         "write kube-pod://POD",
		"kube-pod://-f":                       "write kube-pod://POD",
		"kube-pod://b?namespace=-A":           "write kube-pod://POD",
		"kube-pod://b?container=Big":          "write kube-pod://POD",
		"docker-container://b?namespace=a":    "it has context, limit",
		"kube-pod://Pod":                      "write kube-pod://POD",
		"tcp://user:secret@builder:1?x=y\x7f": "no address",
	} {
		_, err := ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("tcp://b:1?ca=a&limit=2")
	f.Add("kube-pod://b?namespace=n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		again, err := ParseAddress(a.Name)
		if err != nil || again.Name != a.Name {
			t.Errorf("%q is named %q, which is %q, %v", text, a.Name, again.Name, err)
		}
	})
}
