package chart

import (
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	helm "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"
)

// Options is what the chart has to be told by whoever publishes it. Only
// Project is needed.
type Options struct {
	Project    string // .Values.werf.name; the chart's name if nothing else gives one
	ChartName  string // renames the chart; else the name in Chart.yaml, else Project
	Version    string // see VersionForTag; else the version in Chart.yaml, else 1.0.0
	AppVersion string // else the appVersion in Chart.yaml
	Repo       string // .Values.werf.repo, where images are kept
	Env        string // .Values.werf.env and .Values.global.env
	Images     []Image
	// Annotations and Labels are for every resource of the chart, put there by
	// whoever installs it as a bundle. Helm takes no notice of them.
	Annotations, Labels map[string]string
	Commit              *Commit // enters the values only if the chart mentions it
	Stub                bool    // images are made up: .Values.werf.is_stub
}

// Package is a chart ready to be pushed. In the terms of Helm's OCI support,
// Archive is the content layer, Config the config blob, and Annotations are
// those of the manifest.
type Package struct {
	Name        string
	Version     string
	Archive     []byte            // .tgz
	Config      []byte            // the metadata in Chart.yaml as JSON
	Annotations map[string]string // as `helm push` makes them, without the time of creation
}

// Package makes the chart's archive. Service values win over the chart's own
// values.yaml, which otherwise keeps all its values (not its comments). The
// archive is read back with Helm's own loader, so what Helm would refuse is
// refused here, as an *Error.
func (s *Source) Package(o Options) (*Package, error) {
	chartYAML, err := s.chartYAML(o)
	if err != nil {
		return nil, err
	}
	valuesYAML, err := s.valuesYAML(o)
	if err != nil {
		return nil, err
	}
	extra, err := o.extra()
	if err != nil {
		return nil, err
	}
	var meta helm.Metadata
	if err := yaml.Unmarshal(chartYAML, &meta); err != nil {
		return nil, s.wrong(chartFile, err)
	}
	return Pack(&meta, s.with(chartYAML, valuesYAML, extra))
}

func (s *Source) chartYAML(o Options) ([]byte, error) {
	meta, err := s.metadata()
	if err != nil {
		return nil, err
	}
	meta.Name = first(o.ChartName, meta.Name, o.Project)
	meta.Version = first(o.Version, meta.Version, defaultVersion)
	meta.AppVersion = first(o.AppVersion, meta.AppVersion)
	if err := meta.Validate(); err != nil { // Load found no fault with Chart.yaml
		return nil, &Error{Message: fmt.Sprintf("the chart %s cannot be named %q with the version %q: %v", s.dir, meta.Name, meta.Version, err)}
	}
	data, err := yaml.Marshal(meta)
	if err != nil {
		return nil, s.wrong(chartFile, err)
	}
	return data, nil
}

func (s *Source) valuesYAML(o Options) ([]byte, error) {
	service, err := serviceValues(o, o.Commit != nil && s.MentionsCommit())
	if err != nil {
		return nil, fmt.Errorf("making the service values of chart %s: %w", s.dir, err)
	}
	values, err := s.values()
	if err != nil {
		return nil, err
	}
	if err := merge(values, service, ""); err != nil {
		return nil, s.wrong(valuesFile, err)
	}
	data, err := yaml.Marshal(values)
	if err != nil {
		return nil, s.wrong(valuesFile, err)
	}
	return data, nil
}

// annotations are those that `helm push` gives the manifest of a chart, from
// the same fields: see generateOCIAnnotations in Helm's pkg/registry. The time
// of creation is left out, since it would change the digest of the same chart.
func annotations(meta *helm.Metadata) map[string]string {
	all := map[string]string{
		ocispec.AnnotationDescription: meta.Description,
		ocispec.AnnotationURL:         meta.Home,
		ocispec.AnnotationAuthors:     authors(meta.Maintainers),
	}
	if len(meta.Sources) > 0 {
		all[ocispec.AnnotationSource] = meta.Sources[0]
	}
	for key, value := range all {
		if strings.TrimSpace(value) == "" {
			delete(all, key)
		}
	}
	for key, value := range meta.Annotations {
		all[key] = value
	}
	// These two are what clients go by; no annotation of the chart changes them.
	all[ocispec.AnnotationTitle] = meta.Name
	all[ocispec.AnnotationVersion] = meta.Version
	return all
}

func authors(maintainers []*helm.Maintainer) string {
	var list []string
	for _, m := range maintainers {
		author := m.Name
		if m.Email != "" {
			author += " (" + m.Email + ")"
		}
		list = append(list, author)
	}
	return strings.Join(list, ", ")
}

// first returns the first string that is not empty.
func first(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
