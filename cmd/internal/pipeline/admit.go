package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/stages"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// Values of Options.Allow, which are BuildKit's names.
const (
	AllowHostNetwork = "network.host"      // RUN --network=host
	AllowInsecure    = "security.insecure" // RUN --security=insecure
)

// admit lets a build do what the options allow, and refuses one whose RUNs want
// more than that, or a secret or an ssh agent that they are not given. All of them
// are told before anything is built, and whatever BuildKit has in its cache.
func (r *run) admit(build *stages.Build) error {
	build.HostNetwork = build.HostNetwork || slices.Contains(r.options.Allow, AllowHostNetwork)
	build.Insecure = slices.Contains(r.options.Allow, AllowInsecure)
	var refused diag.List
	ops, err := build.Operations()
	if err != nil {
		return err
	}
	for i, op := range ops {
		if exec := op.GetExec(); exec != nil {
			refuse(build, exec, func(format string, args ...any) *diag.Diagnostic {
				d := instruction(build.Definition.Source, digest.FromBytes(build.Definition.Def[i]))
				d.Message = fmt.Sprintf(format, args...)
				refused.Add(d)
				return d
			})
		}
	}
	return refused.Err()
}

// refuse tells what a RUN wants and the build has not.
func refuse(build *stages.Build, exec *pb.ExecOp, tell func(format string, args ...any) *diag.Diagnostic) {
	if len(exec.CdiDevices) > 0 {
		tell("RUN --device is not supported: builds are given no devices").Advise("leave it out")
	}
	if exec.Network == pb.NetMode_HOST && !build.HostNetwork {
		tell("RUN --network=host is not allowed").
			Advise("if you trust it, run slipway with --allow %s, or write network: host in the image's section of werf.yaml", AllowHostNetwork)
	}
	if exec.Security == pb.SecurityMode_INSECURE && !build.Insecure {
		tell("RUN --security=insecure is not allowed").Advise("if you trust it with all that root may do here, run slipway with --allow %s", AllowInsecure)
	}
	secret := func(id string, optional bool) {
		if _, given := build.Secrets[id]; !given && !optional {
			tell("secret %q is required and not given", id).Advise("add it to secrets in the image's section of werf.yaml: - {id: %s, env: VARIABLE}", id)
		}
	}
	for _, s := range exec.Secretenv {
		secret(s.ID, s.Optional)
	}
	for _, m := range exec.Mounts {
		if m.SecretOpt != nil {
			secret(m.SecretOpt.ID, m.SecretOpt.Optional)
		}
		if m.SSHOpt == nil || m.SSHOpt.Optional {
			continue
		}
		id := cmp.Or(m.SSHOpt.ID, defaultAgent)
		if !slices.ContainsFunc(build.SSH, func(s stages.SSH) bool { return s.ID == id }) {
			tell("ssh agent %q is required and not given", id).Advise("write ssh: %s in the image's section of werf.yaml, or %[1]s=KEYFILE", id)
		}
	}
}

// instruction is a diagnostic with the place of what an operation was made from.
func instruction(source *pb.Source, op digest.Digest) *diag.Diagnostic {
	d := &diag.Diagnostic{}
	for _, l := range source.GetLocations()[op.String()].GetLocations() {
		if int(l.SourceIndex) >= len(source.Infos) || len(l.Ranges) == 0 {
			continue
		}
		file := source.Infos[l.SourceIndex]
		d.File, d.Line = file.Filename, int(l.Ranges[0].GetStart().GetLine())
		if lines := strings.Split(string(file.Data), "\n"); d.Line >= 1 && d.Line <= len(lines) {
			d.Source = engine.Redact(strings.TrimRight(lines[d.Line-1], "\r"))
		}
		break
	}
	return d
}
