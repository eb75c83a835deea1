package pipeline

import (
	"strings"
	"testing"

	"slipway/planner"
	"slipway/planner/werfyaml"

	"helm.sh/helm/v3/pkg/chartutil"
)

func TestReleaseOf(t *testing.T) {
	byDefault := werfyaml.Deploy{HelmRelease: werfyaml.DefaultRelease, HelmReleaseSlug: true, Namespace: werfyaml.DefaultRelease, NamespaceSlug: true}
	for _, test := range []struct {
		name                            string
		deploy                          werfyaml.Deploy
		env, givenRelease, givenSpace   string
		wantRelease, wantSpace, wantErr string
	}{
		{name: "no environment", deploy: byDefault, wantRelease: "app", wantSpace: "app"},
		{name: "environment", deploy: byDefault, env: "prod", wantRelease: "app-prod", wantSpace: "app-prod"},
		{name: "given", deploy: byDefault, env: "prod", givenRelease: "r", givenSpace: "n", wantRelease: "r", wantSpace: "n"},
		// The slug is the reference's: its documentation has My_branch.
		{name: "slugs", deploy: werfyaml.Deploy{HelmRelease: "My_branch", HelmReleaseSlug: true, Namespace: "My_branch", NamespaceSlug: true}, wantRelease: "my-branch-8ebf2d1d", wantSpace: "my-branch-8ebf2d1d"},
		{name: "no slugs", deploy: werfyaml.Deploy{HelmRelease: "A_[[ env ]]", Namespace: "B_[[ project ]]"}, env: "x", wantRelease: "A_x", wantSpace: "B_app"},
		{name: "functions", deploy: werfyaml.Deploy{HelmRelease: "[[ namespace ]]-[[ project | trunc 2 ]]", Namespace: "ns"}, wantRelease: "ns-ap", wantSpace: "ns"},
		{name: "unknown function", deploy: werfyaml.Deploy{HelmRelease: "x", Namespace: "[[ what ]]"},
			wantErr: "deploy.namespace \"[[ what ]]\" of werf.yaml: template: deploy.namespace:1: function \"what\" not defined\n  the functions are project, env, namespace (for the release) and those of sprig"},
	} {
		t.Run(test.name, func(t *testing.T) {
			release, namespace, err := releaseOf(&planner.Plan{Project: "app", Deploy: test.deploy}, test.env, test.givenRelease, test.givenSpace)
			if err != nil && err.Error() != test.wantErr || err == nil && test.wantErr != "" {
				t.Fatalf("got %v, want %s", err, test.wantErr)
			}
			if release != test.wantRelease || namespace != test.wantSpace {
				t.Errorf("got %s, %s, want %s, %s", release, namespace, test.wantRelease, test.wantSpace)
			}
		})
	}
}

// Names of releases are those that Helm takes.
func TestIsReleaseName(t *testing.T) {
	for _, name := range []string{
		"", "a", "a-b", "-a", "a-", "a.b", "a..b", ".a", "a.-b", "A", "a_b", "1", "a\n", "é",
		strings.Repeat("a", 53), strings.Repeat("a", 54), strings.Repeat("a.", 26) + "a", strings.Repeat("a.", 27),
	} {
		if got, want := isReleaseName(name), chartutil.ValidateReleaseName(name) == nil; got != want {
			t.Errorf("%q: %v, Helm says %v", name, got, want)
		}
	}
}
