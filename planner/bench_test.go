//go:build linux

package planner

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shape is a repository to plan, made of services: directories with a Dockerfile
// and files of their own.
type shape struct {
	name     string
	services int
	files    int // of each service
	variants int // images of each Dockerfile
	// root makes the whole repository every image's context, as monorepos do whose
	// services share files; else each service's directory is its own.
	root bool
	// all makes every image read all files.
	all bool
	// trivial is a Dockerfile of two lines.
	trivial bool
}

var shapes = []shape{
	{name: "20", services: 20, files: 20, variants: 1, trivial: true},
	{name: "100", services: 100, files: 20, variants: 1, trivial: true},
	{name: "1000", services: 200, files: 250, variants: 5},
	{name: "1000-root", services: 200, files: 250, variants: 5, root: true},
	{name: "1000-all", services: 200, files: 250, variants: 5, root: true, all: true},
}

// BenchmarkLoad plans in this process, for profiles. What it reports beside the
// time is what it asked of git: the files that it opened are werf.yaml,
// Dockerfiles and ignore files, for no other has a content any more.
func BenchmarkLoad(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			dir := s.repository(b)
			var p *Plan
			for b.Loop() {
				var err error
				if p, err = Load(b.Context(), Options{Dir: dir, Platforms: []string{"linux/amd64"}}); err != nil {
					b.Fatal(err)
				}
				p.Close()
			}
			if want := s.services * s.variants; len(p.Images) != want {
				b.Fatalf("%d images, want %d", len(p.Images), want)
			}
			stats := p.Source.Stats()
			b.ReportMetric(float64(stats.Objects), "objects")
			b.ReportMetric(float64(stats.Sizes), "sizes")
		})
	}
}

// BenchmarkCommand runs `slipway plan` and reports the most memory that the
// process (or a git that it started) had resident.
func BenchmarkCommand(b *testing.B) {
	slipway := filepath.Join(b.TempDir(), "slipway")
	command(b, "", nil, "go", "build", "-o", slipway, "slipway/cmd/slipway")
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			dir := s.repository(b)
			var peak int64
			var cpu time.Duration
			for b.Loop() {
				// A child begins with the peak of its parent: make that small.
				debug.FreeOSMemory()
				check(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
				p := command(b, dir, nil, slipway, "plan")
				peak = max(peak, p.SysUsage().(*syscall.Rusage).Maxrss)
				cpu += p.UserTime() + p.SystemTime()
			}
			b.ReportMetric(float64(peak)/1024, "MiB-peak")
			b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// repository makes the shape's, checked out, and then takes away the contents of
// all files that only a build may read: whoever reads one fails.
func (s shape) repository(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	git := func(stdin []byte, args ...string) {
		b.Helper()
		command(b, dir, stdin, "git", args...)
	}
	git(nil, "init", "-q", "--template=", "-b", "main")
	// Packs, however small, so that what is before the checkpoint is in one file.
	git(s.history(), "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done")
	git(nil, "reset", "-q", "--hard")
	// What git has written in the second in which it wrote its index it would
	// compare by content, time and again.
	later := time.Now().Add(time.Minute)
	check(b, os.Chtimes(filepath.Join(dir, ".git", "index"), later, later))

	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	check(b, err)
	removed := 0
	for _, pack := range packs {
		index, err := exec.Command("git", "verify-pack", "-v", pack).Output()
		check(b, err)
		if !bytes.Contains(index, []byte(" commit ")) {
			check(b, os.Remove(pack))
			check(b, os.Remove(strings.TrimSuffix(pack, ".pack")+".idx"))
			removed++
		}
	}
	if removed != 1 {
		b.Fatalf("%d of %d packs are without a commit, want one", removed, len(packs))
	}
	return dir
}

// history is the repository for git fast-import: a pack of the files that
// only a build reads, then one of everything else.
func (s shape) history() []byte {
	var blobs, tree bytes.Buffer
	data := func(w *bytes.Buffer, text string) { fmt.Fprintf(w, "data %d\n%s\n", len(text), text) }
	inline := func(path, text string) {
		fmt.Fprintf(&tree, "M 100644 inline %s\n", path)
		data(&tree, text)
	}
	tree.WriteString("commit refs/heads/main\ncommitter C <c@example.org> 1700000000 +0000\n")
	data(&tree, "x")
	inline("werf.yaml", s.config())
	ignore := "**/.git\n**/*.md\n**/node_modules\ntmp\n"
	if s.root {
		inline(".dockerignore", ignore)
	}
	mark := 0
	for i := range s.services {
		service := fmt.Sprintf("services/svc-%03d", i)
		inline(service+"/Dockerfile", s.dockerfile(i))
		if !s.root && !s.trivial {
			inline(service+"/.dockerignore", ignore)
		}
		for k := range s.files {
			mark++
			fmt.Fprintf(&blobs, "blob\nmark :%d\n", mark)
			data(&blobs, fmt.Sprintf("content %d of %s\n", k, service))
			fmt.Fprintf(&tree, "M 100644 :%d %s/src/package-%d/file_%03d.js\n", mark, service, k%10, k)
		}
	}
	blobs.WriteString("checkpoint\n")
	blobs.Write(tree.Bytes())
	blobs.WriteString("done\n")
	return blobs.Bytes()
}

func (s shape) config() string {
	context, dockerfile := "services/{{ $name }}", "Dockerfile"
	if s.root {
		context, dockerfile = ".", "services/{{ $name }}/Dockerfile"
	}
	targets := `list "api" "worker" "migrate" "assets" "api"`
	if s.trivial {
		targets = `list ""`
	}
	return fmt.Sprintf(`project: bench
configVersion: 1
{{ range $i := until %d }}{{ $name := printf "svc-%%03d" $i }}{{ range $k, $target := %s }}
---
image: {{ $name }}-{{ $k }}
context: %s
dockerfile: %s
{{ with $target }}target: {{ . }}{{ end }}
args:
  VERSION: "1.{{ $k }}"
{{ end }}{{ end }}`, s.services, targets, context, dockerfile)
}

func (s shape) dockerfile(i int) string {
	if s.trivial {
		return fmt.Sprintf("FROM alpine:3.%d\nCOPY . /app\n", i)
	}
	from := ""
	if s.root {
		from = fmt.Sprintf("services/svc-%03d/", i)
	}
	src := from + "src"
	if s.all {
		src = "."
	}
	return fmt.Sprintf(`# syntax=docker/dockerfile:1
ARG NODE=node:22-alpine
FROM ${NODE} AS deps
WORKDIR /app
COPY %[1]ssrc/package-0 ./lib
RUN --mount=type=cache,target=/root/.npm npm ci --service %[2]d

FROM deps AS assets
COPY %[1]ssrc/package-1 ./assets
RUN npm run assets

FROM deps AS build
ARG VERSION=dev
ENV VERSION=${VERSION}
COPY %[3]s ./src
RUN npm run build

FROM ${NODE} AS api
ENV NODE_ENV=production PATH=/app/bin:$PATH
WORKDIR /app
COPY --from=build /app/dist ./dist
COPY --from=assets /app/assets ./assets
EXPOSE 8080
USER node
CMD ["node", "dist/api.js"]

FROM api AS worker
CMD ["node", "dist/worker.js"]

FROM build AS migrate
COPY %[1]ssrc/package-2 ./migrations
ENTRYPOINT ["node", "migrate.js"]
`, from, i, src)
}

// command runs a program to its end.
func command(b *testing.B, dir string, stdin []byte, name string, args ...string) *os.ProcessState {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return cmd.ProcessState
}
