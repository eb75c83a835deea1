package pipeline

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/planner"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/planner/werfyaml"
	"slipway/stages"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
)

// how fills in what only says how RUNs are run: it is read when a build is
// certain, and never enters a key.
func (r *run) how(image *planner.Image, world *dockerfile.World, build *stages.Build) error {
	for _, entry := range image.How.AddHost {
		host, ip, _ := strings.Cut(entry, ":")
		world.Hosts = append(world.Hosts, llb.HostIP{Host: host, IP: net.ParseIP(ip)})
	}
	network := cmp.Or(r.options.Network, image.How.Network)
	switch network {
	case "", "default":
	case "none":
		world.Network = pb.NetMode_NONE
	case "host":
		world.Network, build.HostNetwork = pb.NetMode_HOST, true
	default:
		return fmt.Errorf("network %q is not known: it can be default, none or host", network)
	}
	build.SSH = sshOf(image.How.SSH)
	if keys := r.options.SSHKeys; len(keys) > 0 {
		build.SSH = slices.DeleteFunc(build.SSH, func(s stages.SSH) bool { return s.ID == defaultAgent })
		build.SSH = append(build.SSH, stages.SSH{ID: defaultAgent, Paths: keys})
	}
	for _, s := range image.How.Secrets {
		data, err := r.secret(s)
		if err != nil {
			return err
		}
		if build.Secrets == nil {
			build.Secrets = map[string][]byte{}
		}
		build.Secrets[s.ID] = data
	}
	return nil
}

// defaultAgent is the ssh agent of a RUN that names none.
const defaultAgent = "default"

// checkHow refuses options that would fail in a build, before there is one.
func checkHow(o Options) error {
	if !slices.Contains([]string{"", "default", "none", "host"}, o.Network) {
		return &diag.Diagnostic{Message: fmt.Sprintf("--backend-network %q is not known", o.Network), Advice: "it can be default, none or host"}
	}
	for _, what := range o.Allow {
		if !slices.Contains([]string{AllowHostNetwork, AllowInsecure}, what) {
			return &diag.Diagnostic{Message: fmt.Sprintf("--allow %q is not known", what), Advice: "it can be " + AllowHostNetwork + " or " + AllowInsecure}
		}
	}
	for _, key := range o.SSHKeys {
		if _, err := os.Stat(key); err != nil {
			return &diag.Diagnostic{Message: fmt.Sprintf("--ssh-key: %v", err), Advice: "name a file with a private key"}
		}
	}
	return nil
}

// Values of Options.CacheMounts.
const (
	LocalCacheMounts = "local"
	NoCacheMounts    = "off"
)

// cacheMountsOf is the directory that the option means, if it means one.
func cacheMountsOf(value string) (string, error) {
	switch {
	case value == "" || value == LocalCacheMounts:
		return "", nil
	case value == NoCacheMounts:
		return value, nil
	case !strings.ContainsRune(value, filepath.Separator):
		return "", &diag.Diagnostic{
			Message: fmt.Sprintf("--cache-mounts %q is not known", value),
			Advice:  fmt.Sprintf("it can be local, off or a directory; write .%c%s for one in the current directory", filepath.Separator, value),
		}
	}
	return filepath.Abs(value)
}

// secret reads one secret from where werf.yaml says. Its errors never hold it.
func (r *run) secret(s werfyaml.Secret) ([]byte, error) {
	switch {
	case s.Env != "":
		value, ok := os.LookupEnv(s.Env)
		if !ok {
			return nil, fmt.Errorf("secret %q: the environment variable %s is not set", s.ID, s.Env)
		}
		return []byte(value), nil
	case s.Src != "":
		data, err := os.ReadFile(r.plan.SecretFile(s.Src))
		if err != nil {
			return nil, fmt.Errorf("secret %q: %w", s.ID, err)
		}
		return data, nil
	}
	return []byte(s.Value), nil
}

// sshOf reads the value of docker build's --ssh: default, or
// ID[=SOCKET|KEY[,KEY…]].
func sshOf(value string) []stages.SSH {
	if value == "" {
		return nil
	}
	id, paths, given := strings.Cut(value, "=")
	s := stages.SSH{ID: id}
	if given {
		s.Paths = strings.Split(paths, ",")
	}
	return []stages.SSH{s}
}
