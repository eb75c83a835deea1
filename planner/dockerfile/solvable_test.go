package dockerfile

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var linux = ocispec.Platform{OS: "linux", Architecture: "amd64"}

func (n noNetwork) ResolveImage(_ context.Context, name string, _ ocispec.Platform) (digest.Digest, []byte, error) {
	n.t.Errorf("planning asked for the base %s", name)
	return "", nil, context.Canceled
}

// fakeBases answers for every name with one config.
type fakeBases dockerspec.DockerOCIImageConfig

var fakeDigest = digest.FromString("base")

func (f fakeBases) ResolveImage(_ context.Context, _ string, p ocispec.Platform) (digest.Digest, []byte, error) {
	img := dockerspec.DockerOCIImage{Config: dockerspec.DockerOCIImageConfig(f)}
	img.Platform = p
	img.RootFS.DiffIDs = []digest.Digest{fakeDigest}
	dt, err := json.Marshal(img)
	return fakeDigest, dt, err
}

func TestSolvablePinsBasesAndContexts(t *testing.T) {
	r := app.plan(t)
	if got := strings.Join(r.Bases, " "); got != "docker.io/library/node:22" {
		t.Errorf("bases %q", got)
	}
	s, err := r.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: linux})
	if err != nil {
		t.Fatal(err)
	}
	srcs, err := sources(s.Definition)
	if err != nil {
		t.Fatal(err)
	}
	var images, locals int
	for _, src := range srcs {
		if strings.HasPrefix(src.Identifier, "docker-image://") {
			images++
			if want := "docker-image://docker.io/library/node:22@" + fakeDigest.String(); src.Identifier != want {
				t.Errorf("base is %s, want %s", src.Identifier, want)
			}
			continue
		}
		locals++
		if src.Attrs[pb.AttrSharedKeyHint] != digest.FromBytes(readsFields(r.Listing)).String() {
			t.Errorf("the context's shared key is %q, want the digest of its files", src.Attrs[pb.AttrSharedKeyHint])
		}
		if src.Attrs[pb.AttrExcludePatterns] != `["**/*.log"]` {
			t.Errorf("ignore patterns %s", src.Attrs[pb.AttrExcludePatterns])
		}
	}
	if images != 1 || locals != 1 {
		t.Errorf("%d images and %d contexts in the definition", images, locals)
	}
}

func onbuild(trigger string) fakeBases {
	var c dockerspec.DockerOCIImageConfig
	c.OnBuild = []string{trigger}
	return fakeBases(c)
}

// A trigger of the base that reads the context is not in the key: it is refused.
func TestOnbuildThatReadsTheContextIsRefused(t *testing.T) {
	p := project{files: map[string]string{"Dockerfile": "FROM base\nRUN true\n", "package.json": "{}"}}
	r := p.plan(t)
	_, err := r.Solvable(t.Context(), World{Bases: onbuild("COPY package.json /"), Builder: linux})
	if err == nil || !strings.Contains(err.Error(), "package.json") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := r.Solvable(t.Context(), World{Bases: onbuild("RUN touch /x"), Builder: linux}); err != nil {
		t.Errorf("a trigger that reads nothing: %v", err)
	}
}

// BuildKit's parser crashes on this comment; the base's maker wrote it.
func TestTriggerThatCrashesTheParserIsAnError(t *testing.T) {
	r := project{files: map[string]string{"Dockerfile": "FROM base\n"}}.plan(t)
	_, err := r.Solvable(t.Context(), World{Bases: onbuild("#\n# check=skip=all\nRUN x"), Builder: linux})
	if err == nil || !strings.Contains(err.Error(), crashed) {
		t.Errorf("got %v", err)
	}
}

// Where a variable of the base stands in a path that is read, the base's config
// is asked for at plan time, and nowhere else.
func TestBaseDecidesWhatIsRead(t *testing.T) {
	reads := []string{
		"COPY $DIR /x", "ADD $DIR/a /x", "RUN --mount=type=bind,source=$DIR,target=/m true",
		"ENV D=$DIR\nCOPY $D /x", "ARG D=$DIR\nCOPY $D /x", "ARG DIR\nCOPY $DIR /x",
	}
	for _, line := range reads {
		t.Run(line, func(t *testing.T) {
			p := project{files: map[string]string{"Dockerfile": "FROM base\n" + line + "\n", "one/a": "1", "two/a": "2"}}
			in := p.input(t)
			var keys []string
			for _, dir := range []string{"one", "two"} {
				in.Bases = fakeBases{ImageConfig: ocispec.ImageConfig{Env: []string{"DIR=" + dir}}}
				r, err := Plan(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Solvable(t.Context(), World{Bases: in.Bases, Builder: linux}); err != nil {
					t.Errorf("the same base at build time: %v", err)
				}
				keys = append(keys, r.Key.String())
			}
			if keys[0] == keys[1] {
				t.Error("the base's variable does not change the key")
			}
		})
	}
	for _, line := range []string{
		"ARG DIR=one\nCOPY $DIR /x", "ENV DIR=one\nCOPY $DIR /x", "ENV DIR=one\nENV E=$DIR/a\nCOPY $E /x",
		"ENV A=$B", "COPY one $DIR/", "COPY --from=other $DIR /x",
	} {
		t.Run(line, func(t *testing.T) {
			p := project{files: map[string]string{"Dockerfile": "FROM base\n" + line + "\n", "one/a": "1"}}
			p.plan(t) // fails if it asks
		})
	}
	t.Run("global arg", func(t *testing.T) {
		project{files: map[string]string{"Dockerfile": "ARG DIR=one\nFROM base AS a\nFROM a\nARG DIR\nCOPY $DIR /x\n", "one/a": "1"}}.plan(t)
	})
}
