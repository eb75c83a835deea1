// Package chart makes a bundle's chart archive: it reads the project's chart
// files, adds the service values that name the images, and writes an archive
// that Helm, Flux and Argo CD take as it is. The bytes are a function of what
// goes in: no clock, no host, no order of maps or directories enters them.
//
// It knows the chart format and nothing else: no registry, no git, no werf.yaml,
// no BuildKit. Files come from an fs.FS, images as plain strings, and where the
// archive goes is not its business.
package chart

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

// The files of a chart that are read here, not only carried.
const (
	chartFile        = "Chart.yaml"
	lockFile         = "Chart.lock"
	valuesFile       = "values.yaml"
	schemaFile       = "values.schema.json"
	requirementsFile = "requirements.yaml" // where apiVersion v1 kept its dependencies
	requirementsLock = "requirements.lock"
	secretValuesFile = "secret-values.yaml"
)

// defaultVersion is the version of a chart whose Chart.yaml gives none.
const defaultVersion = "1.0.0"

// Source is the chart of a project as it stands in the commit, checked and
// ready to be packaged. It is not changed by its methods, which may be called
// concurrently.
type Source struct {
	dir   string
	files map[string][]byte // by path in the chart
	chart *helm.Chart       // as Helm sees it; name and version may be stand-ins

	floating []string // see Floating
	leftOut  []string // see LeftOut
}

// LoadOptions say what else makes the chart. The zero value takes the directory
// as it is.
type LoadOptions struct {
	Values Values
	// Fetcher gets the dependencies that the project does not hold; nil means that
	// there must be none.
	Fetcher Fetcher
	// AllFiles publishes every file of the directory, not only those that a chart is
	// known to have.
	AllFiles bool
}

// Load reads the chart in the directory dir of fsys (".helm", say): the files
// that Helm would take, .helmignore applied, symbolic links followed as fsys
// follows them. Everything that can be wrong with the chart itself is found
// here, before anything is built. What the user has to mend is an *Error; other
// errors are those of fsys and of the fetcher.
//
// Dependencies are taken from charts/, else from the directories of fsys that
// file:// names, else from the fetcher, in the versions of Chart.lock if there is
// one. All of them are in the chart, whatever their conditions and tags: these are
// looked at when the chart is installed.
func Load(ctx context.Context, fsys fs.FS, dir string, o LoadOptions) (*Source, error) {
	files, err := readFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	s := &Source{dir: dir, files: files}
	s.choose(o)
	if err := s.secrets(o.Values); err != nil {
		return nil, err
	}
	if err := s.adoptRequirements(); err != nil {
		return nil, err
	}
	meta, err := s.metadata()
	if err != nil {
		return nil, err
	}
	// Chart.yaml may leave these to Options; Helm wants them.
	if meta.Name == "" {
		meta.Name = "chart"
	}
	if meta.Version == "" {
		meta.Version = defaultVersion
	}
	if err := meta.Validate(); err != nil {
		return nil, s.wrong(chartFile, err)
	}
	if _, err := s.values(); err != nil {
		return nil, err
	}
	if err := s.resolve(ctx, fsys, meta, o.Fetcher, nil); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if o.Values.empty() {
		return s, nil
	}
	if err := s.layOver(o.Values); err != nil {
		return nil, err
	}
	return s, s.parse(meta)
}

// parse sees the files as Helm does.
func (s *Source) parse(meta *helm.Metadata) error {
	chartYAML, err := yaml.Marshal(meta)
	if err != nil {
		return s.wrong(chartFile, err)
	}
	if s.chart, err = loader.LoadFiles(s.with(chartYAML, s.files[valuesFile], nil)); err != nil {
		return s.wrong("", err)
	}
	return nil
}

// Files lists the paths of the chart's files, relative to its directory and
// sorted.
func (s *Source) Files() []string {
	return slices.Sorted(maps.Keys(s.files))
}

// commitMention is the key "commit" as a template can name it: a field
// (.commit) or a string (index .Values.werf "commit").
var commitMention = regexp.MustCompile("[.\"'`]commit(?:[^\\w-]|$)")

// MentionsCommit tells whether some file of the chart or of its sub-charts can
// ask for .Values.werf.commit: whether the word commit, on its own, follows a
// dot or a quote anywhere in it. It does not matter what stands before the dot,
// since templates keep maps in variables ($w.commit), nor in which kind of file
// it is, since any file can reach a template through tpl. Prose does not count.
//
// A template that dumps a whole map (toYaml .Values.werf) does not mention the
// commit, and the commit is not in what it dumps: otherwise no such chart could
// keep its digest from one commit to the next.
func (s *Source) MentionsCommit() bool {
	return mentionsCommit(s.chart)
}

func mentionsCommit(c *helm.Chart) bool {
	for _, f := range c.Raw {
		if commitMention.Match(f.Data) {
			return true
		}
	}
	return slices.ContainsFunc(c.Dependencies(), mentionsCommit)
}

// metadata parses Chart.yaml anew, so that the caller may change what it gets.
func (s *Source) metadata() (*helm.Metadata, error) {
	meta := new(helm.Metadata)
	if err := yaml.Unmarshal(s.files[chartFile], meta); err != nil {
		return nil, s.wrong(chartFile, err)
	}
	switch meta.APIVersion {
	case "", helm.APIVersionV1, helm.APIVersionV2:
	default:
		return nil, s.wrong(chartFile, fmt.Errorf("apiVersion %q is not supported", meta.APIVersion)).
			advise("use apiVersion: v2")
	}
	meta.APIVersion = helm.APIVersionV2
	if old, ok := s.files[requirementsFile]; ok && len(meta.Dependencies) == 0 {
		var r struct {
			Dependencies []*helm.Dependency `json:"dependencies"`
		}
		if err := yaml.Unmarshal(old, &r); err != nil {
			return nil, s.wrong(requirementsFile, err)
		}
		meta.Dependencies = r.Dependencies
	}
	return meta, nil
}

// with returns the chart's files as Helm's loader wants them: in the order of
// the archive, with the given Chart.yaml and values.yaml (nil for none) and
// further ones.
func (s *Source) with(chartYAML, valuesYAML []byte, extra map[string][]byte) []*loader.BufferedFile {
	files := []*loader.BufferedFile{{Name: chartFile, Data: chartYAML}}
	all := maps.Clone(s.files)
	maps.Copy(all, extra)
	delete(all, chartFile)
	delete(all, requirementsFile) // its dependencies are in chartYAML
	if valuesYAML != nil {
		all[valuesFile] = valuesYAML
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		files = append(files, &loader.BufferedFile{Name: name, Data: all[name]})
	}
	return files
}
