package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"slipway/stages"
	"slipway/stages/buildkit/host"

	"github.com/moby/buildkit/client/llb"
)

func TestOCIRuntime(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	noRun := llb.Scratch().File(llb.Mkdir("/a", 0o755))
	run := noRun.Run(llb.Args([]string{"/a"})).Root()
	tests := map[string]struct {
		installed []string
		state     llb.State
		want      string // the program's name; "" is host.ErrNoRuntime
	}{
		"both":             {[]string{"crun", "runc"}, run, "runc"},
		"crun":             {[]string{"crun"}, run, "crun"},
		"none":             {nil, run, ""},
		"none, RUN below":  {nil, run.File(llb.Mkdir("/b", 0o755)), ""},
		"none and no RUN":  {nil, noRun, self},
		"runc and no RUN":  {[]string{"runc"}, noRun, "runc"},
		"nothing is built": {nil, llb.Scratch(), self},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			for _, name := range test.installed {
				check(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/false\n"), 0o755))
			}
			want := test.want
			if want != "" && want != self {
				want = filepath.Join(dir, want)
			}
			runs, err := runPlatforms(stages.Build{Definition: marshal(t, test.state)})
			check(t, err)
			got, err := ociRuntime(len(runs) > 0)
			if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, host.ErrNoRuntime) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	if runs, err := runPlatforms(stages.Build{Definition: &llb.Definition{Def: [][]byte{[]byte("no definition")}}}); err == nil {
		t.Errorf("a broken definition gives %v and no error", runs)
	}
}
