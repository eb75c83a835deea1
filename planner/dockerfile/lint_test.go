package dockerfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/planner/diag"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Versions of Docker's own frontend are the one that is linked in, with a warning
// if they are newer; nothing else is a frontend.
func TestSyntax(t *testing.T) {
	inside := builtIn()
	if inside.Minor() < 20 {
		t.Fatalf("the frontend that is linked in calls itself %s", inside)
	}
	newer := fmt.Sprintf("1.%d", inside.Minor()+1)
	in := project{}.input(t)
	const old, warned, refused = "", "is used instead", "is not supported"
	for ref, want := range map[string]string{
		"docker/dockerfile":                               old,
		"docker/dockerfile:latest":                        old,
		"docker/dockerfile:1":                             old,
		"docker/dockerfile:1.4":                           old,
		"docker/dockerfile:1.4.3":                         old,
		"docker/dockerfile:1.0-experimental":              old,
		"docker/dockerfile:experimental":                  old,
		"docker/dockerfile:labs":                          old,
		"docker/dockerfile:1-labs":                        old,
		"docker/dockerfile:1.7.1-labs":                    old,
		"docker/dockerfile:1.5.0-rc1":                     old,
		"docker/dockerfile:" + inside.String():            old,
		"docker.io/docker/dockerfile:1":                   old,
		"index.docker.io/docker/dockerfile:1":             old,
		"docker/dockerfile-upstream:1.2":                  old,
		"docker/dockerfile@sha256:00":                     old,
		"docker/dockerfile:1.4@sha256:00":                 old,
		"docker/dockerfile:" + newer:                      warned,
		"docker/dockerfile:" + newer + "-labs":            warned,
		"docker/dockerfile:" + inside.IncPatch().String(): warned,
		"docker/dockerfile:2":                             warned,
		"docker/dockerfile-upstream:master":               warned,
		"docker/dockerfile-upstream:master-labs":          warned,
		"docker/dockerfile:nightly":                       refused,
		"docker/dockerfile:1x":                            refused,
		"docker/dockerfiles:1":                            refused,
		"example.org/docker/dockerfile:1":                 refused,
		"dockerfile:1":                                    refused,
	} {
		for _, byArg := range []bool{false, true} {
			in, line := in, ":2"
			in.Text = []byte("# check=skip=all\n# syntax=" + ref + "\nFROM scratch\nLABEL a=b\n")
			if byArg {
				in.Text, in.Args, line = []byte("FROM scratch\nLABEL a=b\n"), map[string]string{"BUILDKIT_SYNTAX": ref}, ""
			}
			r, err := Plan(t.Context(), in)
			if err != nil {
				if want != refused || !diag.Is(err) || !strings.Contains(err.Error(), refused) || !strings.HasPrefix(err.Error(), "Dockerfile"+line+":") {
					t.Errorf("%s: %v", ref, err)
				}
				continue
			}
			s, err := r.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: linux})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case want == old && len(s.Warnings) == 0:
			case want == warned && len(s.Warnings) == 1:
				got := s.Warnings[0].String()
				if !strings.HasPrefix(got, "Dockerfile"+line+": "+ref+" is asked for; "+inside.String()+", ") {
					t.Errorf("%s: %s", ref, got)
				}
			default:
				t.Errorf("%s: want %q, got %v", ref, want, s.Warnings)
			}
		}
	}
	// What the newer one could do is an error that tells of it.
	in.Text = []byte("# syntax=docker/dockerfile:" + newer + "\nFROM scratch\nCOPY --later a /\n")
	_, err := Plan(t.Context(), in)
	if err == nil || !strings.Contains(err.Error(), "Dockerfile:3:") || !strings.Contains(err.Error(), "the file asks for docker/dockerfile:"+newer+"; version "+inside.String()) {
		t.Errorf("got %v", err)
	}
}

// What BuildKit's checks find depends on the real base: they are made over that,
// and planning makes none.
func TestWarnings(t *testing.T) {
	const json = "Dockerfile:%d: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (JSONArgsRecommended, https://docs.docker.com/go/dockerfile/rule/json-args-recommended/)"
	const undefined = "Dockerfile:2: Usage of undefined variable '$HERE' (UndefinedVar, https://docs.docker.com/go/dockerfile/rule/undefined-var/)"
	for name, test := range map[string]struct {
		text string
		env  []string // of the base
		want []string
	}{
		"nothing":           {"FROM base\nCMD [\"x\"]\n", nil, nil},
		"two":               {"FROM base\nENV A=$HERE\nCMD x\n", nil, []string{undefined, fmt.Sprintf(json, 3)}},
		"the base knows it": {"FROM base\nENV A=$HERE\n", []string{"HERE=1"}, nil},
		"in stages":         {"FROM base AS a\nCMD x\nFROM a\nCMD x\n", nil, []string{fmt.Sprintf(json, 2), fmt.Sprintf(json, 4)}},
		"skipped":           {"# check=skip=JSONArgsRecommended\nFROM base\nCMD x\n", nil, nil},
		"all skipped":       {"# check=skip=all\nFROM base\nENV A=$HERE\nCMD x\n", nil, nil},
		"an error, skipped": {"# check=skip=JSONArgsRecommended;error=true\nFROM base\nCMD x\n", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := project{files: map[string]string{"Dockerfile": test.text}}.plan(t)
			s, err := r.Solvable(t.Context(), World{Bases: fakeBases{ImageConfig: ocispec.ImageConfig{Env: test.env}}, Builder: linux})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range s.Warnings {
				got = append(got, w.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}

	r := project{files: map[string]string{"Dockerfile": "# check=error=true\nFROM base\nENV A=$HERE\nCMD x\n"}}.plan(t)
	if _, err := r.Solvable(t.Context(), World{Bases: fakeBases{ImageConfig: ocispec.ImageConfig{Env: []string{"HERE=1"}}}, Builder: linux}); !diag.Is(err) ||
		strings.Contains(err.Error(), "UndefinedVar") || !strings.Contains(err.Error(), "  4 | CMD x\n  mend it, or leave the check out: # check=skip=JSONArgsRecommended;error=true") {
		t.Errorf("findings that are errors: %v", err)
	}
	if _, err := Plan(t.Context(), project{files: map[string]string{"Dockerfile": "# check=skip\nFROM base\n"}}.input(t)); err == nil || !strings.Contains(err.Error(), "check options") {
		t.Errorf("a directive that is wrong: %v", err)
	}
}
