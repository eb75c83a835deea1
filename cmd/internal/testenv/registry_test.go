package testenv

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// request sends one request as user (none when empty) and returns its answer.
func request(t *testing.T, method, url, user, password string) (status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func TestRegistryKeepsImages(t *testing.T) {
	for name, options := range map[string][]Option{
		"files":  nil,
		"memory": {InMemory()},
		"tls":    {TLS()},
		"users":  {User("ann", "secret")},
	} {
		t.Run(name, func(t *testing.T) {
			r := Registry(t, options...)
			if d := r.Digest("library/thing:latest"); d != "" {
				t.Errorf("an empty registry has %s", d)
			}
			if tags := r.Tags("library/thing"); len(tags) > 0 {
				t.Errorf("an empty registry has tags %v", tags)
			}
			img := TreeImage(t, nil, map[string]string{"etc/thing": "content"}, nil)
			want := r.PushImage("library/thing:latest", img)
			if got := r.Digest("library/thing:latest"); got != want.String() {
				t.Errorf("the tag is %q, want %s", got, want)
			}
			if got, err := r.Image("library/thing@" + want.String()).Digest(); err != nil || got != want {
				t.Errorf("read back %s, %v, want %s", got, err, want)
			}
			if tags := fmt.Sprint(r.Tags("library/thing")); tags != "[latest]" {
				t.Errorf("tags are %s", tags)
			}
			if log := r.Log(); len(log) > 0 {
				t.Errorf("this package's own requests are in the log: %v", log)
			}
		})
	}
}

func TestRegistryLog(t *testing.T) {
	r := Registry(t, InMemory())
	url := "http://" + r.Host
	request(t, "GET", url+"/v2/", "", "")
	request(t, "HEAD", url+"/v2/a/manifests/none", "", "")
	request(t, "POST", url+"/v2/a/blobs/uploads/?from=b", "", "")
	want := "[GET /v2/ 200 HEAD /v2/a/manifests/none 404 POST /v2/a/blobs/uploads/?from=b 202]"
	if got := fmt.Sprint(r.Log()); got != want {
		t.Errorf("log\n%s, want\n%s", got, want)
	}
	if w := r.Writes(); len(w) != 1 || w[0].Method != "POST" {
		t.Errorf("writes are %v", w)
	}
	if n := r.Count(func(r Request) bool { return r.Status == 404 }); n != 1 {
		t.Errorf("%d requests got 404, want 1", n)
	}
	if n := r.Count(nil); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	r.Reset()
	if log := r.Log(); len(log) > 0 {
		t.Errorf("after Reset the log has %v", log)
	}
}

func TestRegistryRights(t *testing.T) {
	everybody := Registry(t, InMemory(), ReadOnly(""))
	users := Registry(t, InMemory(), User("ann", "secret"), User("guest", "guest"), ReadOnly("guest"))
	for _, c := range []struct {
		registry               *RegistryServer
		method, user, password string
		want                   int
	}{
		{everybody, "GET", "", "", 200},
		{everybody, "POST", "", "", 403},
		{users, "GET", "", "", 401},
		{users, "POST", "", "", 401},
		{users, "GET", "ann", "wrong", 401},
		{users, "GET", "guest", "guest", 200},
		{users, "POST", "ann", "secret", 202},
		{users, "POST", "guest", "guest", 403},
		{users, "POST", "guest", "wrong", 401},
	} {
		path := "/v2/"
		if c.method == "POST" {
			path = "/v2/a/blobs/uploads/"
		}
		status, header := request(t, c.method, "http://"+c.registry.Host+path, c.user, c.password)
		if status != c.want {
			t.Errorf("%s as %q with %q: %d, want %d", c.method, c.user, c.password, status, c.want)
		}
		if challenge := header.Get("WWW-Authenticate"); (status == 401) != strings.HasPrefix(challenge, "Basic ") {
			t.Errorf("%d with challenge %q", status, challenge)
		}
	}
}

func TestRegistryIntercept(t *testing.T) {
	r := Registry(t, InMemory(), Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodHead {
			return false
		}
		Refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
		return true
	}))
	if status, _ := request(t, "HEAD", "http://"+r.Host+"/v2/", "", ""); status != 429 {
		t.Errorf("status %d, want 429", status)
	}
	if got := fmt.Sprint(r.Log()); got != "[HEAD /v2/ 429]" {
		t.Errorf("log %s", got)
	}
}
