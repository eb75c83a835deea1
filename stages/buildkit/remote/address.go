package remote

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/engine"
)

// Address says where a BuildKit listens and how it is spoken to.
type Address struct {
	// Name is the address without the options that do not say where the builder
	// is. It names the builder to people, and every machine that uses the builder
	// gives it the same one, so that all send an image to the same place.
	Name string
	// Limit is how many builds of this run the builder is given at once; 0 leaves
	// that to the run.
	Limit int

	url        *url.URL
	tls        bool
	ca         string // file of PEM certificates; "" means the system's
	cert, key  string // files, PEM
	serverName string
}

// schemes are the kinds of addresses.
var schemes = map[string]struct {
	form    string   // what one looks like
	where   []string // options that say where the builder is
	options []string // others
}{
	"unix":             {"unix:///run/buildkit/buildkitd.sock", nil, nil},
	"tcp":              {"tcp://HOST:PORT", nil, []string{"ca", "cert", "key", "servername"}},
	"docker-container": {"docker-container://NAME", []string{"context"}, nil},
	"kube-pod":         {"kube-pod://POD", []string{"context", "namespace", "container"}, nil},
}

const forms = "unix://PATH, tcp://HOST:PORT, docker-container://NAME and kube-pod://POD"

// ParseAddress reads an address: unix://PATH, tcp://HOST:PORT,
// docker-container://NAME or kube-pod://POD, with options as in a URL's query,
// ?NAME=VALUE&NAME=VALUE. Every kind takes limit; tcp takes ca, cert, key and
// servername, each of which means TLS; docker-container takes context; kube-pod
// takes context, namespace and container. Names, and the meaning of the last two
// kinds, are those of BuildKit's client.
func ParseAddress(text string) (Address, error) {
	shown := engine.Redact(text)
	u, err := url.Parse(text)
	var malformed *url.Error
	switch {
	case errors.As(err, &malformed) && !strings.Contains(text, "://"), err == nil && !strings.Contains(text, "://"):
		return Address{}, fmt.Errorf("%q does not say what kind of builder it is: write %s", shown, suggestion(text))
	case errors.As(err, &malformed):
		return Address{}, fmt.Errorf("%q is no address of a builder: %w", shown, malformed.Err)
	case err != nil:
		return Address{}, err
	}
	scheme, ok := schemes[u.Scheme]
	if !ok {
		return Address{}, fmt.Errorf("%q: there are no builders of the kind %s; there are %s", shown, u.Scheme, forms)
	}
	if u.User != nil || u.Fragment != "" || !wellFormed(u) {
		return Address{}, fmt.Errorf("%q is no address of a builder: write %s", shown, scheme.form)
	}
	a := Address{url: u}
	where := url.Values{}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Address{}, fmt.Errorf("%q: %w", shown, err)
	}
	for name, values := range options {
		known := slices.Concat(scheme.where, scheme.options, []string{"limit"})
		if !slices.Contains(known, name) {
			return Address{}, fmt.Errorf("%q: %s:// has no option %q; it has %s", shown, u.Scheme, name, strings.Join(known, ", "))
		}
		if len(values) != 1 || values[0] == "" {
			return Address{}, fmt.Errorf("%q: write %s=VALUE once", shown, name)
		}
		if slices.Contains(scheme.where, name) {
			where[name] = values
		}
	}
	a.ca, a.cert, a.key, a.serverName = options.Get("ca"), options.Get("cert"), options.Get("key"), options.Get("servername")
	a.tls = slices.ContainsFunc(schemes["tcp"].options, options.Has)
	if (a.cert == "") != (a.key == "") {
		return Address{}, fmt.Errorf("%q: cert and key are needed together", shown)
	}
	if options.Has("limit") {
		if a.Limit, err = strconv.Atoi(options.Get("limit")); err != nil || a.Limit < 1 {
			return Address{}, fmt.Errorf("%q: limit is a number of builds, 1 or more", shown)
		}
	}
	a.Name = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: where.Encode()}).String()
	return a, nil
}

var (
	// containerName is what Docker takes (RestrictedNameChars of moby's names
	// package); podName is a DNS subdomain, as Kubernetes wants.
	containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	podName       = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
)

// wellFormed tells whether what stands before the options is what the scheme has
// there. Names become arguments of a command, so none may look like a flag.
func wellFormed(u *url.URL) bool {
	switch u.Scheme {
	case "unix":
		return u.Host == "" && path.IsAbs(u.Path) && u.Path != "/"
	case "tcp":
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		return u.Hostname() != "" && err == nil && port > 0 && u.Path == ""
	case "docker-container":
		return containerName.MatchString(u.Host) && u.Path == ""
	}
	q := u.Query()
	for _, name := range []string{q.Get("namespace"), q.Get("container")} {
		if name != "" && !podName.MatchString(name) {
			return false
		}
	}
	return podName.MatchString(u.Host) && u.Path == ""
}

// suggestion is what somebody meant who wrote no scheme.
func suggestion(text string) string {
	switch host, port, ok := strings.Cut(text, ":"); {
	case strings.HasPrefix(text, "/"):
		return "unix://" + text
	case ok && host != "" && strings.Trim(port, "0123456789") == "":
		return "tcp://" + text
	}
	return "one of " + forms
}
