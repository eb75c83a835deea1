package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// Shape describes a synthetic monorepo: services, each a directory with a
// Dockerfile and files of its own, and a chart that names all images. Equal
// shapes are the same tree, byte for byte, on any machine.
type Shape struct {
	Images int
	Files  int // that images are made of, in all; shared out evenly
	// Bytes is the size of these files in all; 0 stands for about 100 bytes each.
	Bytes int64
	// Depth is how many images stand between one and its base: images come in
	// chains of Depth+1, each the base of the next.
	Depth int
	// Platforms is for how many platforms each image is built, this machine's
	// first; 0 is 1.
	Platforms int
	// Layered makes each Dockerfile one of two COPY and two RUN, of which the
	// first RUN is dear and reads none of the files that change.
	Layered bool
	Seed    uint64 // of the files' contents
}

func (s Shape) String() string {
	text := fmt.Sprintf("%s images, %s files", thousands(s.Images), thousands(s.Files))
	if s.Bytes > 0 {
		text += fmt.Sprintf(", %s", size(s.Bytes))
	}
	if s.Depth > 0 {
		text += fmt.Sprintf(", depth %d", s.Depth)
	}
	if s.Platforms > 1 {
		text += fmt.Sprintf(", %d platforms", s.Platforms)
	}
	return text
}

// What Change and the scenarios know of the tree.
const (
	unrelated = "README.md" // no image reads it
	baseImage = "base:1"    // what the lowest images are made from
)

func service(i int) string { return fmt.Sprintf("svc-%04d", i) }

// source is a file of the image that a change to it rebuilds.
func source(i int) string { return "services/" + service(i) + "/src/part-0/file-0000.txt" }

// level is how many images of the project stand under image i.
func (s Shape) level(i int) int { return i % (s.Depth + 1) }

// filesOf is how many files image i has; no image has none.
func (s Shape) filesOf(i int) int {
	n := s.Files / s.Images
	if i < s.Files%s.Images {
		n++
	}
	return max(n, 1)
}

var platforms = []string{"linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le", "linux/riscv64"}

// config is the project's werf.yaml. All is written out, so that what a run
// costs is not what a template costs.
func (s Shape) config() string {
	var b strings.Builder
	b.WriteString("project: bench\nconfigVersion: 1\n")
	if s.Platforms > 1 {
		b.WriteString("build:\n  platform:\n")
		for _, p := range platforms[:s.Platforms] {
			fmt.Fprintf(&b, "  - %s\n", p)
		}
	}
	for i := range s.Images {
		fmt.Fprintf(&b, "---\nimage: %s\ncontext: services/%[1]s\ndockerfile: Dockerfile\n", service(i))
		if s.level(i) > 0 {
			fmt.Fprintf(&b, "dependencies:\n- image: %s\n  imports:\n  - type: ImageName\n    targetBuildArg: BASE\n", service(i-1))
		}
	}
	return b.String()
}

func (s Shape) dockerfile(i int) string {
	switch {
	case s.Layered:
		return fmt.Sprintf(`FROM %s
COPY deps /deps
RUN ["/work", "deps of %[2]s", "/deps", "/out/deps", "512", "8"]
COPY src /src
RUN ["/work", "src of %[2]s", "/src", "/out/app", "16", "1"]
CMD ["/work"]
`, baseImage, service(i))
	case s.level(i) > 0:
		return fmt.Sprintf("ARG BASE\nFROM ${BASE}\nCOPY src /app/%s\n", service(i))
	default:
		return fmt.Sprintf("FROM %s\nWORKDIR /app\nCOPY src /app\nCMD [\"/work\"]\n", baseImage)
	}
}

const chartTemplate = `apiVersion: v1
kind: ConfigMap
metadata:
  name: images
data:
{{- range $name, $ref := .Values.werf.image }}
  {{ $name }}: {{ $ref }}
{{- end }}
`

// fastImport writes the repository's first commit in the format of git
// fast-import.
func (s Shape) fastImport(out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<16)
	file := func(path string, content []byte) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n", path, len(content))
		w.Write(content)
		w.WriteByte('\n')
	}
	w.WriteString("commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata 5\nfirst\n")
	file("werf.yaml", []byte(s.config()))
	file(unrelated, []byte("A synthetic monorepo.\n"))
	file(".helm/templates/images.yaml", []byte(chartTemplate))
	buffer := make([]byte, s.fileSize())
	for i := range s.Images {
		dir := "services/" + service(i)
		file(dir+"/Dockerfile", []byte(s.dockerfile(i)))
		n := s.filesOf(i)
		for k := range n {
			s.fill(buffer, i, k)
			kind := "src"
			if s.Layered && k >= (n+1)/2 {
				kind = "deps"
			}
			file(fmt.Sprintf("%s/%s/part-%d/file-%04d.txt", dir, kind, k%10, k), buffer)
		}
	}
	w.WriteString("done\n")
	return w.Flush()
}

func (s Shape) fileSize() int {
	if s.Bytes == 0 {
		return 100
	}
	return int(s.Bytes / int64(max(s.Files, s.Images)))
}

// fill makes the content of file k of image i: letters that do not compress well.
func (s Shape) fill(content []byte, i, k int) {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%d/%d/%d", s.Seed, i, k))
	random := rand.NewChaCha8(seed)
	_, _ = random.Read(content) // it never fails
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 \n"
	for at, b := range content {
		content[at] = letters[b&63]
	}
}

// services are the names of all images, in the order of werf.yaml.
func (s Shape) services() []string {
	names := make([]string, s.Images)
	for i := range names {
		names[i] = service(i)
	}
	return names
}
