package dockerfile

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/engine"
	"slipway/planner/source"

	"github.com/moby/patternmatcher/ignorefile"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// project is one image section and the files of its commit.
type project struct {
	files    map[string]string // a name that ends in "*" is executable; content "-> X" is a link
	target   string
	args     map[string]string
	platform ocispec.Platform
}

func (p project) with(edit func(*project)) project {
	p.files, p.args = maps.Clone(p.files), maps.Clone(p.args)
	edit(&p)
	return p
}

// commit makes a repository of the project's files and opens its build context.
func (p project) commit(t testing.TB) *source.Context {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	for name, content := range p.files {
		mode := os.FileMode(0o644)
		if n, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = n, 0o755
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	git("add", "-A", "-f")
	git("commit", "-q", "--allow-empty", "-m", "x")
	src, err := source.Open(t.Context(), source.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	files, err := src.Context(".")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// input is the project as Plan takes it.
func (p project) input(t *testing.T) Input {
	t.Helper()
	ignore, err := ignorefile.ReadAll(strings.NewReader(p.files[".dockerignore"]))
	if err != nil {
		t.Fatal(err)
	}
	platform := p.platform
	if platform.OS == "" {
		platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	}
	return Input{
		Path: "Dockerfile", Text: []byte(p.files["Dockerfile"]), Target: p.target, Args: p.args,
		Platform: platform, Context: p.commit(t), Ignore: ignore, Bases: noNetwork{t},
	}
}

func (p project) plan(t *testing.T) *Recipe {
	t.Helper()
	r, err := Plan(t.Context(), p.input(t))
	if err != nil {
		t.Fatalf("%v\nof\n%s", err, p.files["Dockerfile"])
	}
	return r
}

func (p project) key(t *testing.T) engine.Key { t.Helper(); return p.plan(t).Key }

// noNetwork fails a test in which planning asks for a base.
type noNetwork struct{ t *testing.T }

// app is the project that most cases change in one place. It has a stage that
// the target does not reach.
var app = project{
	files: map[string]string{
		"Dockerfile": `# syntax=docker/dockerfile:1
ARG NODE=node:22
FROM ${NODE} AS deps
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci

FROM deps AS docs
COPY docs docs
RUN make docs

FROM deps
ARG MODE=production
ENV NODE_ENV=${MODE}
COPY src src
COPY --from=deps /app/node_modules /opt/modules
RUN <<EOF
echo one
echo two
EOF
RUN --mount=type=bind,source=scripts,target=/scripts /scripts/setup
LABEL a=b
CMD ["node", "src/server.js"]
`,
		"package.json": "{}", "package-lock.json": "{}",
		"src/server.js": "one", "src/link": "-> server.js", "src/tool*": "#!/bin/sh", "src/debug.log": "log",
		"scripts/setup*": "setup", "docs/index.md": "docs", "README.md": "readme",
		".dockerignore": "**/*.log\n",
	},
}

func dockerfileEdit(old, new string) func(*project) {
	return func(p *project) {
		text := p.files["Dockerfile"]
		if !strings.Contains(text, old) {
			panic("no " + old + " in the Dockerfile")
		}
		p.files["Dockerfile"] = strings.Replace(text, old, new, 1)
	}
}

func set(name, content string) func(*project) {
	return func(p *project) { p.files[name] = content }
}

func TestWhatChangesAKey(t *testing.T) {
	base := app.key(t)
	cases := map[string]func(*project){
		"instruction":               dockerfileEdit("npm ci", "npm install"),
		"spaces in a command":       dockerfileEdit("npm ci", "npm  ci"),
		"an instruction more":       dockerfileEdit("LABEL a=b", "LABEL a=b\nUSER node"),
		"an instruction less":       dockerfileEdit("LABEL a=b\n", ""),
		"order of instructions":     dockerfileEdit("COPY src src\nCOPY --from=deps /app/node_modules /opt/modules", "COPY --from=deps /app/node_modules /opt/modules\nCOPY src src"),
		"CMD":                       dockerfileEdit("src/server.js", "src/other.js"),
		"label":                     dockerfileEdit("a=b", "a=c"),
		"heredoc body":              dockerfileEdit("echo two", "echo three"),
		"default of a used arg":     dockerfileEdit("production", "development"),
		"default of the base's arg": dockerfileEdit("node:22", "node:24"),
		"value of a used arg":       func(p *project) { p.args = map[string]string{"MODE": "test"} },
		"value of the base's arg":   func(p *project) { p.args = map[string]string{"NODE": "node:20"} },
		"base":                      dockerfileEdit("${NODE}", "node:22-alpine"),
		"base by digest":            dockerfileEdit("node:22\n", "node:22@sha256:"+strings.Repeat("a", 64)+"\n"),
		"mount type":                dockerfileEdit("type=cache", "type=tmpfs"),
		"mount target":              dockerfileEdit("/root/.npm", "/cache"),
		"mount id":                  dockerfileEdit("type=cache,", "type=cache,id=x,"),
		"what is copied":            dockerfileEdit("COPY src src", "COPY src/server.js src/"),
		"where it is copied to":     dockerfileEdit("COPY src src", "COPY src lib"),
		"owner of copies":           dockerfileEdit("COPY src", "COPY --chown=1:1 src"),
		"mode of copies":            dockerfileEdit("COPY src", "COPY --chmod=700 src"),
		"shell":                     dockerfileEdit("COPY src", "SHELL [\"/bin/bash\", \"-c\"]\nCOPY src"),
		"network of a RUN":          dockerfileEdit("RUN --mount=type=cache", "RUN --network=none --mount=type=cache"),
		"copied file":               set("src/server.js", "two"),
		"file of a needed stage":    set("package.json", "{ }"),
		"mounted file":              func(p *project) { p.files["scripts/setup*"] = "set up" },
		"copied file added":         set("src/new.js", "new"),
		"copied file removed":       func(p *project) { delete(p.files, "src/tool*") },
		"copied file renamed":       func(p *project) { delete(p.files, "src/server.js"); p.files["src/main.js"] = "one" },
		"file made executable":      func(p *project) { delete(p.files, "src/server.js"); p.files["src/server.js*"] = "one" },
		"link target":               set("src/link", "-> tool"),
		"link replaced by a file":   set("src/link", "server.js"),
		"ignore rule that matters":  set(".dockerignore", "**/*.log\nsrc/link\n"),
		"ignore rule dropped":       set(".dockerignore", ""),
		"target":                    func(p *project) { p.target = "deps" },
		"platform":                  func(p *project) { p.platform = ocispec.Platform{OS: "linux", Architecture: "arm64"} },
		"platform variant":          func(p *project) { p.platform = ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"} },
	}
	seen := map[engine.Key]string{base: "nothing"}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			key := app.with(edit).key(t)
			if other, ok := seen[key]; ok {
				t.Errorf("changing the %s and changing %s give one key", name, other)
			}
			seen[key] = name
		})
	}
}

func TestWhatDoesNotChangeAKey(t *testing.T) {
	base := app.key(t)
	cases := map[string]func(*project){
		"another checkout":          func(*project) {},
		"comment":                   dockerfileEdit("WORKDIR", "# the working directory\nWORKDIR"),
		"comment in an instruction": dockerfileEdit("ENV NODE_ENV", "ENV \\\n# why\n  NODE_ENV"),
		"blank lines":               dockerfileEdit("WORKDIR /app\n", "WORKDIR /app\n\n\n"),
		"spacing of an instruction": dockerfileEdit("COPY src src", "COPY   src    src"),
		"case of an instruction":    dockerfileEdit("COPY src src", "copy src src"),
		"line continuation":         dockerfileEdit("COPY src src", "COPY src \\\n  src"),
		"stage name": func(p *project) {
			p.files["Dockerfile"] = strings.ReplaceAll(strings.ReplaceAll(p.files["Dockerfile"], "deps", "packages"), "docs\nRUN", "docs\nRUN")
		},
		"stage by number":          dockerfileEdit("--from=deps", "--from=0"),
		"unused stage":             dockerfileEdit("make docs", "make all docs"),
		"unused stage's variables": dockerfileEdit("RUN make docs", "ARG W=/srv\nWORKDIR $W/$V\nRUN make docs"),
		"unused stage removed":     dockerfileEdit("FROM deps AS docs\nCOPY docs docs\nRUN make docs\n", ""),
		"unused arg":               func(p *project) { p.args = map[string]string{"OTHER": "x"} },
		"unused global arg":        dockerfileEdit("ARG NODE", "ARG PYTHON=python:3\nARG NODE"),
		"arg given its default":    func(p *project) { p.args = map[string]string{"MODE": "production"} },
		"target by name and by default": func(p *project) {
			p.files["Dockerfile"] = strings.Replace(p.files["Dockerfile"], "FROM deps\nARG", "FROM deps AS last\nARG", 1)
			p.target = "last"
		},
		"syntax line":                 dockerfileEdit("docker/dockerfile:1\n", "docker/dockerfile:1.4\n"),
		"file that is not read":       set("README.md", "changed"),
		"file of an unused stage":     set("docs/index.md", "changed"),
		"file added that is not read": set("other/file", "new"),
		"ignored file":                set("src/debug.log", "changed"),
		"ignore rule without effect":  set(".dockerignore", "**/*.log\n*.tmp\n"),
		"same rule in other words":    set(".dockerignore", "# logs\nsrc/*.log\n"),
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			if app.with(edit).key(t) != base {
				t.Errorf("the %s changes the key", name)
			}
		})
	}
}

// Over an empty base config each of these pairs looks alike; over a real one
// they may differ.
func TestWhatTheBaseCouldTellApart(t *testing.T) {
	pairs := [][2]string{
		{"ENV A=$FOO", "ENV A=$BAR"},
		{"ENV A=${FOO:-x}", "ENV A=x"},
		{"ENV A=${FOO:-x}", "ENV A=${BAR:-x}"},
		{`ENV A="${FOO:+x  y}"`, `ENV A="${FOO:+x y}"`},
		{"LABEL a=$FOO", "LABEL a="},
		{"WORKDIR app", "WORKDIR /app"},
		{"WORKDIR $HOME/app", "WORKDIR $PREFIX/app"},
		{"COPY file dir/", "COPY file /dir/"},
		{"COPY file $DIR/", "COPY file $OTHER/"},
		{"COPY <<EOF /f\n$FOO\nEOF", "COPY <<EOF /f\n$BAR\nEOF"},
		{"COPY --chown=$FOO file /", "COPY --chown=$BAR file /"},
		{"CMD []", ""},
		{"ENTRYPOINT []", ""},
		{"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ""},
		{"USER $FOO", "USER $BAR"},
		{"EXPOSE $FOO/tcp", "EXPOSE $BAR/tcp"},
		{"VOLUME /$FOO", "VOLUME /$BAR"},
		{"STOPSIGNAL $FOO", "STOPSIGNAL $BAR"},
		{"RUN --mount=type=cache,target=/c/$FOO true", "RUN --mount=type=cache,target=/c/$BAR true"},
		{"ARG A=$FOO\nRUN true", "ARG A=$BAR\nRUN true"},
		{"ONBUILD RUN a", "ONBUILD RUN b"},
		// The same words in other places.
		{"ENV A=$FOO\nENV B=", "ENV A=\nENV B=$FOO"},
		{"ENV A=$FOO B=", "ENV A= B=$FOO"},
		{"LABEL a=$FOO b=", "LABEL a= b=$FOO"},
		{"ARG A=$FOO\nARG B=\nRUN true", "ARG A=\nARG B=$FOO\nRUN true"},
		{"COPY --chown=$FOO file /x\nCOPY file /y", "COPY file /x\nCOPY --chown=$FOO file /y"},
		{"COPY <<EOF /f\n$FOO\nEOF\nCOPY <<EOF /g\n\nEOF", "COPY <<EOF /f\n\nEOF\nCOPY <<EOF /g\n$FOO\nEOF"},
		{"ENV A=$FOO\nFROM base\nENV A=\nCOPY --from=0 /x /x\nRUN true", "ENV A=\nFROM base\nENV A=$FOO\nCOPY --from=0 /x /x\nRUN true"},
		// The base's SHELL.
		{"RUN x", `RUN ["/bin/sh", "-c", "x"]`},
		{"CMD x", `CMD ["/bin/sh", "-c", "x"]`},
		{"ENTRYPOINT x", `ENTRYPOINT ["/bin/sh", "-c", "x"]`},
		// Triggers of a stage of the Dockerfile itself.
		{"ONBUILD ENV A=$FOO\nFROM base AS y\nFROM 0x", "ONBUILD ENV A=$BAR\nFROM base AS y\nFROM 0x"},
	}
	for _, pair := range pairs {
		t.Run(pair[0], func(t *testing.T) {
			var keys [2]engine.Key
			for i, line := range pair {
				text := strings.Replace("FROM base\n"+line+"\n", "FROM 0x", "FROM first", 1)
				if text != "FROM base\n"+line+"\n" {
					text = strings.Replace(text, "FROM base\n", "FROM base AS first\n", 1)
				}
				p := project{files: map[string]string{"Dockerfile": text, "file": "x"}}
				in := p.input(t)
				// STOPSIGNAL and EXPOSE check their expansion: give it something valid.
				if strings.HasPrefix(line, "STOPSIGNAL") || strings.HasPrefix(line, "EXPOSE") {
					in.Text = []byte("FROM base\n" + strings.ReplaceAll(strings.ReplaceAll(line, "$FOO", "${FOO:-9}"), "$BAR", "${BAR:-9}") + "\n")
				}
				r, err := Plan(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				keys[i] = r.Key
			}
			if keys[0] == keys[1] {
				t.Errorf("%q and %q have one key", pair[0], pair[1])
			}
		})
	}
}

// The machine that plans is not in a key: BUILDPLATFORM has a stand-in.
func TestBuilderDoesNotEnter(t *testing.T) {
	p := project{files: map[string]string{"Dockerfile": "FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETARCH BUILDARCH\nRUN build $TARGETARCH $BUILDARCH\nFROM scratch\nCOPY --from=b /x /x\n"}}
	r := p.plan(t)
	arm, err := r.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: ocispec.Platform{OS: "linux", Architecture: "arm64"}})
	if err != nil {
		t.Fatal(err)
	}
	amd, err := r.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: ocispec.Platform{OS: "linux", Architecture: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	if root(arm.Definition) == root(amd.Definition) {
		t.Error("BUILDPLATFORM has no effect on what is built")
	}
}
