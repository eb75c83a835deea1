package pipeline

import (
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"slipway/planner"
	"slipway/planner/diag"
	"slipway/planner/werfyaml"

	"github.com/Masterminds/sprig/v3"
)

// releaseOf is the release's name and its namespace, as werf.yaml's deploy has
// them where they are not given: templates with the functions project, env and
// namespace, and those of sprig.
func releaseOf(plan *planner.Plan, env, release, namespace string) (string, string, error) {
	funcs := sprig.HermeticTxtFuncMap()
	funcs["project"] = func() string { return plan.Project }
	funcs["env"] = func() string { return env }
	expand := func(key, text string) (string, error) {
		if text == werfyaml.DefaultRelease && env == "" {
			return plan.Project, nil
		}
		t, err := template.New(key).Delims("[[", "]]").Funcs(funcs).Parse(text)
		var b strings.Builder
		if err == nil {
			err = t.Execute(&b, nil)
		}
		if err != nil {
			return "", &diag.Diagnostic{Message: fmt.Sprintf("%s %q of werf.yaml: %v", key, text, err), Advice: "the functions are project, env, namespace (for the release) and those of sprig"}
		}
		return b.String(), nil
	}
	var err error
	if namespace == "" {
		if namespace, err = expand("deploy.namespace", plan.Deploy.Namespace); err != nil {
			return "", "", err
		}
		if plan.Deploy.NamespaceSlug && !isNamespace(namespace) {
			namespace = hashedSlug(namespace, 63)
		}
	}
	funcs["namespace"] = func() string { return namespace }
	if release == "" {
		if release, err = expand("deploy.helmRelease", plan.Deploy.HelmRelease); err != nil {
			return "", "", err
		}
		if plan.Deploy.HelmReleaseSlug && !isReleaseName(release) {
			release = hashedSlug(release, 53)
		}
	}
	return release, namespace, nil
}

// namespacePattern is, with up to 63 characters, Kubernetes' form of a label (RFC 1123).
var namespacePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

func isNamespace(s string) bool { return len(s) <= 63 && namespacePattern.MatchString(s) }

// releaseName is Helm's form of a release's name: Kubernetes' form of a subdomain.
var releaseName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// isReleaseName tells whether Helm takes a name for a release.
func isReleaseName(name string) bool { return len(name) <= 53 && releaseName.MatchString(name) }
