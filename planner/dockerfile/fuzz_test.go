package dockerfile

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"slipway/planner/diag"
	"slipway/planner/source"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/patternmatcher/ignorefile"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// FuzzPlan looks for Dockerfiles that crash or hang, whose key depends on more
// than it should, or that cannot be built though they could be planned. A second
// Dockerfile, the first with a few bytes replaced, looks for keys that are too
// small: two that have one key must build one thing, whatever their bases are.
func FuzzPlan(f *testing.F) {
	for _, seed := range []struct {
		text, target, arg, ignore string
		at                        uint16
		cut                       uint8
		with                      string
	}{
		{app.files["Dockerfile"], "", "test", "**/*.log\n", 250, 3, "x"},
		{app.files["Dockerfile"], "docs", "", "src\n!src/tool\n", 0, 0, ""},
		{"FROM base\nENV A=$FOO\n", "", "", "", 17, 3, "BAR"},
		{"FROM base AS first\nONBUILD COPY $A /x\nFROM first\n", "", "", "", 30, 1, "b"},
		{"FROM base\nCOPY $DIR /x\nADD --checksum=sha256:0 https://example.org/a b*/ ../c /x/\n", "", "one", "*", 12, 4, "ADD"},
		{"FROM base\nRUN --mount=type=bind,source=src,target=/m --mount=type=secret,id=a,required --mount=type=ssh --network=none --security=insecure x\n", "", "", "", 30, 4, "from"},
		{"FROM base\nRUN <<EOF bash\necho\n# no comment\nEOF\nCOPY <<A <<\"B\" --chmod=u+x /\n$V\nA\n$V\nB\n", "", "", "", 20, 2, "\n"},
		{"# escape=`\nFROM base\nENV A=b C=`\n  d\nLABEL x=\"y z\" \\\n\nUSER 1:1\nWORKDIR w\\x\nEXPOSE 80/udp 1-3\nVOLUME [\"/v\"]\nSTOPSIGNAL 9\nHEALTHCHECK --interval=1s CMD true\nSHELL [\"a\"]\nENTRYPOINT e\nCMD c\n", "", "", "", 60, 1, ""},
		{"ARG A=base:1\nFROM --platform=$BUILDPLATFORM $A AS b\nARG TARGETARCH A\nRUN x ${TARGETARCH:+y}\nFROM scratch\nCOPY --link --parents --exclude=*.md --from=b /x /y\nCOPY --from=other:2@sha256:0 / /\n", "", "", "", 90, 1, "z"},
		{"FROM a\nFROM 0\nCOPY --from=0 a b\nMAINTAINER m\n", "0", "", "", 20, 1, "1"},
		{"#syntax=x/y\n# check=error=true;skip=all\nFROM base", "", "", "", 0, 8, "# "},
	} {
		f.Add(seed.text, seed.target, seed.arg, seed.ignore, seed.at, seed.cut, seed.with)
	}
	files := app.commit(f)
	f.Fuzz(func(t *testing.T, text, target, arg, ignore string, at uint16, cut uint8, with string) {
		if len(text)+len(ignore)+len(with) > 4_000 {
			return
		}
		defer time.AfterFunc(20*time.Second, func() { panic("it hangs") }).Stop()
		patterns, err := ignorefile.ReadAll(strings.NewReader(ignore))
		if err != nil {
			return
		}
		for _, pattern := range patterns {
			if source.CheckPattern(pattern) != nil {
				return // told where the file is read
			}
		}
		in := Input{
			Path: "Dockerfile", Text: []byte(text), Target: target, Platform: linux, Context: files, Ignore: patterns,
			Bases: standInBases{},
		}
		if arg != "" {
			in.Args = map[string]string{"A": arg, "MODE": arg}
		}
		r, err := Plan(t.Context(), in)
		again, errAgain := Plan(t.Context(), in)
		if err != nil {
			// Which of several mistakes is told is a race in BuildKit, which resolves
			// stages at once.
			if !isInput(err) || !isInput(errAgain) {
				t.Fatalf("not told as the user's mistake: %v, %v", err, errAgain)
			}
			if strings.Contains(err.Error(), crashed) {
				t.Fatal(err)
			}
			return
		}
		if errAgain != nil || again.Key != r.Key {
			t.Fatalf("one key, then another (%v)", errAgain)
		}
		for _, tail := range []string{"\n", "\n# comment", "\n\n \t# comment\n"} {
			in := in
			in.Text = []byte(text + tail)
			if more, err := Plan(t.Context(), in); err != nil || more.Key != r.Key {
				t.Fatalf("%q at the end changes the key: %v", tail, err)
			}
		}
		s, err := r.Solvable(t.Context(), World{Bases: standInBases{}, Builder: builderStandIn})
		if err != nil {
			t.Fatalf("planned over a base, and not to be built over it: %v", err)
		}
		if string(s.Config) != string(r.Config) {
			t.Fatalf("planned over a base, and another image over it:\n%s\n%s", r.Config, s.Config)
		}

		other := in
		from := min(int(at), len(text))
		other.Text = []byte(text[:from] + with + text[min(from+int(cut), len(text)):])
		changed, err := Plan(t.Context(), other)
		if err != nil || changed.Key != r.Key {
			return
		}
		for name, bases := range realBases {
			one, two := outcome(t, r, bases), outcome(t, changed, bases)
			if one != two {
				t.Fatalf("one key, and over a base with %s it makes\n%s\nof\n%s\nand\n%s\nof\n%s", name, one, text, two, other.Text)
			}
		}
	})
}

// standInBases answers with what planning puts in the place of every base.
type standInBases struct{}

func (standInBases) ResolveImage(ctx context.Context, name string, p ocispec.Platform) (digest.Digest, []byte, error) {
	_, _, config, err := standIn{}.ResolveImageConfig(ctx, name, sourceresolver.Opt{ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &p}})
	return fakeDigest, config, err
}

// realBases are what a Dockerfile may turn out to stand on.
var realBases = map[string]fakeBases{
	"nothing":   {},
	"variables": {ImageConfig: ocispec.ImageConfig{Env: []string{"A=a", "DIR=src", "FOO=src/tool", "PATH=/p"}, WorkingDir: "/w"}},
	"commands": {
		ImageConfig:             ocispec.ImageConfig{Cmd: []string{"c"}, Entrypoint: []string{"e"}, User: "u", Labels: map[string]string{"x": "z"}},
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{Shell: []string{"bash", "-c"}},
	},
}

// outcome is what a recipe makes over bases, or that it makes nothing.
func outcome(t *testing.T, r *Recipe, bases fakeBases) string {
	t.Helper()
	s, err := r.Solvable(t.Context(), World{Bases: bases, Builder: linux})
	if err != nil {
		return "an error"
	}
	def, err := canonical(s.Definition, images{})
	if err != nil {
		t.Fatal(err)
	}
	return root(def).String() + " " + string(s.Config)
}

// isInput tells a mistake of the user's: told of the Dockerfile, or of the target
// by whoever named it.
func isInput(err error) bool {
	var target *TargetError
	return diag.Is(err) || errors.As(err, &target)
}
