package bench

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func front(t *testing.T, link Link) *Front {
	t.Helper()
	f, err := NewFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("a", 1000))
	}), link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func ask(t *testing.T, client *http.Client, method, url, body string, header http.Header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content), resp.Header
}

func TestFrontCounts(t *testing.T) {
	f := front(t, Link{})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, method := range []string{"GET", "HEAD", "GET", "PUT", "POST", "DELETE"} {
		ask(t, client, method, "http://"+f.Host+"/x", "", nil)
	}
	before := f.Traffic()
	if before.Total() != 6 || before.Writes() != 3 || before.Requests["GET"] != 2 {
		t.Errorf("counted %+v", before)
	}
	ask(t, client, "PATCH", "http://"+f.Host+"/x", strings.Repeat("b", 5000), nil)
	d := f.Traffic().Since(before)
	if d.Total() != 1 || d.Writes() != 1 || d.Requests["PATCH"] != 1 {
		t.Errorf("counted %+v since then", d)
	}
	if d.In < 5000 || d.In > 6000 || d.Out < 1000 || d.Out > 2000 {
		t.Errorf("%d bytes in and %d out, of 5000 and 1000 and heads", d.In, d.Out)
	}
}

// A front that is far away cannot be quicker than the distance: one round trip
// for the connection, one for each request. How much slower it is, the machine
// decides.
func TestFrontDelays(t *testing.T) {
	const rtt = 40 * time.Millisecond
	f := front(t, Link{RTT: rtt})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i, want := range []time.Duration{2 * rtt, rtt} {
		start := time.Now()
		if _, body, _ := ask(t, client, "POST", "http://"+f.Host, strings.Repeat("b", 100_000), nil); len(body) != 1000 {
			t.Errorf("answer of %d bytes", len(body))
		}
		if took := time.Since(start); took < want {
			t.Errorf("request %d took %v, less than %v", i, took, want)
		}
	}
	if d := f.Traffic(); d.Total() != 2 || d.In < 200_000 {
		t.Errorf("counted %+v", d)
	}
}

func TestBearer(t *testing.T) {
	f := front(t, Link{Bearer: true})
	url := "http://" + f.Host + "/v2/team/app/manifests/latest"
	code, _, header := ask(t, http.DefaultClient, "HEAD", url, "", nil)
	challenge := `Bearer realm="http://` + f.Host + `/token",service="bench",scope="repository:team/app:pull"`
	if code != http.StatusUnauthorized || header.Get("WWW-Authenticate") != challenge {
		t.Fatalf("%d, %s", code, header.Get("WWW-Authenticate"))
	}
	tokenURL := "http://" + f.Host + "/token?service=bench&scope=repository:team/app:pull"
	if code, _, _ := ask(t, http.DefaultClient, "GET", tokenURL, "", nil); code != http.StatusUnauthorized {
		t.Errorf("a token without a password: %d", code)
	}
	basic := http.Header{"Authorization": {"Basic YmVuY2g6YmVuY2g="}}
	if code, body, _ := ask(t, http.DefaultClient, "GET", tokenURL, "", basic); code != 200 || !strings.Contains(body, `"token":"token-1"`) {
		t.Fatalf("%d: %s", code, body)
	}
	token := http.Header{"Authorization": {"Bearer token-1"}}
	for _, c := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/v2/", 200},
		{"HEAD", "/v2/team/app/manifests/latest", 200},
		{"GET", "/v2/team/app/blobs/sha256:1", 200},
		{"PUT", "/v2/team/app/manifests/latest", 401}, // the token is for reading
		{"GET", "/v2/team/other/blobs/sha256:1", 401},
	} {
		if code, _, _ := ask(t, http.DefaultClient, c.method, "http://"+f.Host+c.path, "", token); code != c.code {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, code, c.code)
		}
	}
	if d := f.Traffic(); d.Requests[tokens] != 2 || d.Writes() != 1 || d.Total() != 8 {
		t.Errorf("counted %+v", d)
	}
}
