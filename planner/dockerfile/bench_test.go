package dockerfile

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BenchmarkKey plans one image: its Dockerfile is converted and hashed with the
// listing of what it reads.
func BenchmarkKey(b *testing.B) {
	many := maps.Clone(app.files)
	for i := range 2000 {
		many[fmt.Sprintf("src/part-%d/file-%d.js", i%20, i)] = "content"
	}
	for _, c := range []struct {
		name string
		project
	}{
		{"trivial", project{files: map[string]string{"Dockerfile": "FROM alpine:3\nCOPY . /app\n", "a": "a"}}},
		{"stages", app},
		{"stages-2000-files", project{files: many}},
	} {
		b.Run(c.name, func(b *testing.B) {
			in := Input{
				Path: "Dockerfile", Text: []byte(c.files["Dockerfile"]), Context: c.commit(b),
				Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Ignore: strings.Fields(c.files[".dockerignore"]),
			}
			for b.Loop() {
				if _, err := Plan(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
