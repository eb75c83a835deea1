package chart

import (
	"fmt"
	"testing"
)

// BenchmarkPackage reads a chart of as many templates and packs it with the
// references of as many images, which every run of `bundle publish` does.
func BenchmarkPackage(b *testing.B) {
	for _, n := range []int{1, 20, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files := map[string]string{"Chart.yaml": "apiVersion: v2\nname: mybundle\nversion: 1.0.0\n", "values.yaml": "replicas: 1\n"}
			o := options
			o.Images = nil
			for i := range n {
				name := fmt.Sprintf("svc-%04d", i)
				files["templates/"+name+".yaml"] = configMap(name, "  image: {{ index .Values.werf.image "+fmt.Sprintf("%q", name)+" }}\n")
				o.Images = append(o.Images, Image{Name: name, Repo: "example.org/group/app", Tag: name, Digest: digest})
			}
			fsys := tree(files)
			for b.Loop() {
				s, err := Load(b.Context(), fsys, ".helm", LoadOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Package(o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
