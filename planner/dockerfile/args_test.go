package dockerfile

import (
	"strings"
	"testing"

	"slipway/planner/diag"

	"github.com/moby/buildkit/solver/pb"
)

// Build arguments that BuildKit's frontend reads itself do what they do there, or
// are refused.
func TestFrontendArgs(t *testing.T) {
	p := project{files: map[string]string{"Dockerfile": "FROM base\nRUN --mount=type=cache,id=x,target=/x true\n"}}
	keys := map[string]string{}
	for name, want := range map[string]struct{ cache, hostname string }{
		"":                          {"/x", ""},
		"BUILDKIT_CACHE_MOUNT_NS":   {"value/x", ""},
		"BUILDKIT_SANDBOX_HOSTNAME": {"/x", "value"},
	} {
		p.args = map[string]string{name: "value"}
		r := p.plan(t)
		keys[r.Key.String()] = name
		s, err := r.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: linux})
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		for _, dt := range s.Definition.Def {
			var op pb.Op
			if err := op.UnmarshalVT(dt); err != nil {
				t.Fatal(err)
			}
			exec := op.GetExec()
			if exec == nil {
				continue
			}
			runs++
			if got := exec.Mounts[len(exec.Mounts)-1].CacheOpt.ID; got != want.cache || exec.Meta.Hostname != want.hostname {
				t.Errorf("%s: the cache is %q and the host %q, want %v", name, got, exec.Meta.Hostname, want)
			}
		}
		if runs != 1 {
			t.Errorf("%s: %d RUNs", name, runs)
		}
	}
	if len(keys) != 3 {
		t.Errorf("keys of %v", keys)
	}
	p.args = map[string]string{"BUILDKIT_DOCKERFILE_CHECK": "skip=all"}
	if _, err := Plan(t.Context(), p.input(t)); !diag.Is(err) || !strings.Contains(err.Error(), "# check=skip=all") {
		t.Errorf("checks: %v", err)
	}
}
