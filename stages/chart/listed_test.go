package chart

import (
	"slices"
	"testing"
)

func TestListedFiles(t *testing.T) {
	all := []string{".helmignore", "Chart.lock", "Chart.yaml", "LICENSE", "README.md", "charts/sub/Chart.yaml", "charts/sub/any", "ci/prod.yaml", "crds/a.yaml", "extra_labels.json", "files/deep/a", "filesystem", "templates/a.yaml", "values-prod.yaml", "values.schema.json", "values.yaml"}
	files := map[string]string{}
	for _, name := range all {
		files[name] = ""
	}
	files["charts/sub/Chart.yaml"] = "name: sub\nversion: 0.0.1\n"
	files["values.schema.json"], files["Chart.lock"] = "{}", "{}"
	left := []string{"ci/prod.yaml", "extra_labels.json", "filesystem", "values-prod.yaml"}
	for name, test := range map[string]struct {
		options       LoadOptions
		want, leftOut []string
	}{
		"listed": {LoadOptions{}, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == ".helmignore" || slices.Contains(left, s) }), left},
		"all":    {LoadOptions{AllFiles: true}, all, nil},
		"values that are merged": {
			LoadOptions{AllFiles: true, Values: Values{Files: []File{{Name: "x", Path: ".helm/values-prod.yaml"}, {Name: "y", Path: "ci/prod.yaml"}, {Name: "z"}, {Name: "v", Path: ".helm/values.yaml"}}}},
			slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "values-prod.yaml" }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load(t.Context(), tree(files), ".helm", test.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Files(); !slices.Equal(got, test.want) {
				t.Errorf("files: %q\nwant:  %q", got, test.want)
			}
			if got := s.LeftOut(); !slices.Equal(got, test.leftOut) {
				t.Errorf("left out: %q\nwant:     %q", got, test.leftOut)
			}
		})
	}
}
