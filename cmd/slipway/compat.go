package main

import (
	"strings"

	"slipway/cmd/internal/pipeline"
)

// laterFlags are flags of the reference that people have in their scripts and
// that are still to come: not taken, and not called unknown either. Some say why;
// one that ends in "-" stands for all that begin with it.
var laterFlags = map[string]string{
	"allow-includes-update":   "werf-includes.yaml is not read yet",
	"follow":                  "run the command again when there is a new commit: a run with nothing to do takes about as long as asking git",
	"introspect-before-error": introspect,
	"introspect-error":        introspect,
	"introspect-stage":        introspect,
	"secret-key":              "secrets stay encrypted in a bundle, and no key is needed",
	"set-root-json":           "",
	"set-runtime-json":        "",
}

const introspect = "there is no container to open a shell in; the output of what failed is shown"

// later is why a flag is not supported yet; false if it is not known at all.
func later(name string) (reason string, ok bool) {
	for known, reason := range laterFlags {
		if name == known || strings.HasSuffix(known, "-") && strings.HasPrefix(name, known) {
			return reason, true
		}
	}
	return "", false
}

// Why flags of the reference change nothing here.
const (
	noLockServer = "there is no lock server: the repository is all that runs share"
	noMetadata   = "nothing is noted of commits"
	noBranch     = "--dev makes no branch"
	noDeletion   = "all registries are spoken to in one way, with the credentials of the Docker configuration"
	noDocker     = "nothing is kept in Docker's storage"
	noChartRepos = "charts are fetched once and kept by their digest"
	noProgress   = "this command shows no progress"
)

// noEffect adds flags that are taken, so that scripts go on working, and that
// change nothing; their help says so.
func (f *flags) noEffect(reason string, names ...string) {
	for _, name := range names {
		f.String(name, "", "No effect: "+reason)
	}
}

// noEffectSwitch is noEffect for a flag without a value.
func (f *flags) noEffectSwitch(reason, name, short string) {
	f.BoolP(name, short, false, "No effect: "+reason)
}

// howRun adds the reference's flags on how images are kept and built.
func (r *runFlags) howRun(f *flags) {
	f.str(&r.Network, "backend-network", "How every RUN reaches the network, whatever werf.yaml says: default, none or host")
	f.str(&r.CacheMounts, "cache-mounts", "Where cache mounts of RUNs are kept: local (BuildKit's state, the default), off (they begin empty in every run), or a directory, which survives that state and which runs may share")
	f.list(&r.Allow, "allow", "WERF_ALLOW", "Let RUNs have network.host or security.insecure; repeatable")
	f.list(&r.SSHKeys, "ssh-key", "WERF_SSH_KEY", "Let RUN --mount=type=ssh use this private key; repeatable (default: what the image's ssh says)")
	f.noEffectSwitch(noMetadata, "virtual-merge", "")
	f.StringP("synchronization", "S", "", "No effect: "+noLockServer)
	for _, repo := range []string{"repo", "final-repo"} {
		for _, what := range []string{"container-registry", "docker-hub-username", "docker-hub-password", "docker-hub-token", "github-token", "harbor-username", "harbor-password", "quay-token"} {
			f.noEffect(noDeletion, repo+"-"+what)
		}
	}
}

// noLog adds the flags on progress to a command without any.
func (f *flags) noLog() {
	for _, name := range []string{"log-quiet", "log-verbose", "log-debug", "log-pretty", "log-time", "log-project-dir"} {
		f.noEffectSwitch(noProgress, name, "")
	}
	f.noEffect(noProgress, "log-time-format", "log-color-mode", "log-terminal-width")
}

// render lets the rendered configuration be written to a file.
func (r *runFlags) render() {
	if r.renderPath != "" {
		pipeline.RenderTo(r.renderPath, &r.Project)
	}
}
