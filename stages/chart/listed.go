package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What a bundle tells its installer beside the chart: see Options.
const (
	annotationsFile = "extra_annotations.json"
	labelsFile      = "extra_labels.json"
)

// listed are the files and directories of a chart that are published unless all
// are asked for. It is the reference's list, and the files that these need.
var listed = []string{
	"charts/", "templates/", "crds/", "files/", "secret/", secretValuesFile,
	chartFile, lockFile, requirementsFile, requirementsLock, valuesFile, schemaFile, "LICENSE", "README.md",
}

// LeftOut are the files of the chart's directory that are not published, sorted.
func (s *Source) LeftOut() []string { return s.leftOut }

// choose leaves out what is not to be published: files of values that are merged
// into values.yaml, and unless all are wanted what is not listed.
func (s *Source) choose(o LoadOptions) {
	for _, f := range slices.Concat(o.Values.Files, o.Values.SecretFiles) {
		if name, ok := strings.CutPrefix(f.Path, s.dir+"/"); ok && name != valuesFile && name != secretValuesFile {
			delete(s.files, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		isListed := slices.ContainsFunc(listed, func(l string) bool {
			return name == l || strings.HasSuffix(l, "/") && strings.HasPrefix(name, l)
		})
		if isListed || o.AllFiles {
			continue
		}
		delete(s.files, name)
		if name != ".helmignore" {
			s.leftOut = append(s.leftOut, name)
		}
	}
}

// extra are the files that only a bundle has.
func (o Options) extra() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, pairs := range map[string]map[string]string{annotationsFile: o.Annotations, labelsFile: o.Labels} {
		if len(pairs) == 0 {
			continue
		}
		data, err := json.Marshal(pairs) // in order of keys
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = append(data, '\n')
	}
	return files, nil
}
