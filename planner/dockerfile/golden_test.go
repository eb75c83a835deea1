package dockerfile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var update = flag.Bool("update", false, "rewrite testdata/keys.golden")

// A key that changes rebuilds every image of every user: an upgrade of BuildKit
// that does so must be seen, judged and written into the release's notes.
func TestKeysAreWhatTheyWere(t *testing.T) {
	file := func(text string) project {
		return project{files: map[string]string{"Dockerfile": text, "a/file": "content", "a/link": "-> file", "tool*": "#!/bin/sh"}}
	}
	cases := []struct {
		name string
		project
	}{
		{"node app", app},
		{"node app for arm64", app.with(func(p *project) { p.platform = ocispec.Platform{OS: "linux", Architecture: "arm64"} })},
		{"target", app.with(func(p *project) { p.target = "docs" })},
		{"build arguments", app.with(func(p *project) { p.args = map[string]string{"MODE": "test"} })},
		{"scratch", file("FROM scratch\nCOPY . /\n")},
		{"nothing but a base", file("FROM alpine\n")},
		{"config only", file("FROM alpine\nENV A=b C=$D\nLABEL x=y\nUSER 1\nWORKDIR w\nEXPOSE 80\nVOLUME /v\nSTOPSIGNAL 9\nHEALTHCHECK CMD true\nENTRYPOINT [\"/e\"]\nCMD [\"c\"]\nONBUILD RUN x\n")},
		{"mounts", file("FROM alpine\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=ssh --mount=type=tmpfs,target=/t --mount=type=bind,source=a,target=/a true\n")},
		{"heredocs", file("FROM alpine\nRUN <<EOF\ntrue\nEOF\nCOPY <<A <<\"B\" /\n$V\nA\n$V\nB\n")},
		{"copies", file("FROM alpine\nCOPY --link --chown=1:2 --chmod=755 a /a\nCOPY --parents a/file /p\nCOPY --exclude=link a /e\nADD tool /bin/\n")},
		{"remote", file("FROM alpine\nADD https://example.org/file /f\nADD https://github.com/a/b.git#v1 /g\n")},
		{"cross build", file("FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETPLATFORM\nRUN build $TARGETPLATFORM\nFROM scratch\nCOPY --from=b /x /x\n")},
	}
	var got bytes.Buffer
	for _, c := range cases {
		fmt.Fprintf(&got, "%s %s\n", c.key(t), c.name)
	}
	const golden = "testdata/keys.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("keys changed. If they have to, run go test ./planner/dockerfile -update and say why in the commit.\ngot\n%swant\n%s", got.Bytes(), want)
	}
}
