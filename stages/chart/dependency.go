package chart

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	yamlv3 "gopkg.in/yaml.v3"
	helm "helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"
)

// Dependency is a chart in a repository.
type Dependency struct {
	Name       string
	Version    string // a constraint, as Chart.yaml has it; or the version of Chart.lock
	Repository string // oci://HOST/PATH, https://… or http://…
}

// Fetcher gets charts that the project does not hold.
type Fetcher interface {
	// Fetch returns the archive of the newest version that the constraint takes. An
	// *Error is the user's to mend; Load adds the position in Chart.yaml.
	Fetch(ctx context.Context, d Dependency) (archive []byte, version string, err error)
}

// Floating are the dependencies that Chart.lock does not hold to a version: the
// next one may be taken when it is there.
func (s *Source) Floating() []string { return s.floating }

// Beside are the directories beside dir that the chart there takes sub-charts from
// (file:// in Chart.yaml), as far as they can be told; Load tells what is wrong.
func Beside(fsys fs.FS, dir string) []string {
	var dirs []string
	look := []string{dir}
	for len(look) > 0 {
		s := &Source{dir: look[0], files: map[string][]byte{}}
		look = look[1:]
		for _, name := range []string{chartFile, requirementsFile} {
			s.files[name], _ = fs.ReadFile(fsys, s.shown(name))
		}
		meta, err := s.metadata()
		if err != nil {
			continue
		}
		for _, d := range meta.Dependencies {
			if d == nil {
				continue
			}
			at, ok := s.local(d.Repository)
			if ok && at != dir && fs.ValidPath(at) && !slices.Contains(dirs, at) {
				dirs, look = append(dirs, at), append(look, at)
			}
		}
	}
	return dirs
}

// local is the directory in the project that a file:// repository names.
func (s *Source) local(repository string) (string, bool) {
	below, ok := strings.CutPrefix(repository, "file://")
	if path.IsAbs(below) {
		return below, ok
	}
	return path.Join(s.dir, below), ok
}

// resolve adds the charts that Chart.yaml depends on and charts/ does not hold.
// within are the directories of the charts that need this one.
func (s *Source) resolve(ctx context.Context, fsys fs.FS, meta *helm.Metadata, fetcher Fetcher, within []string) error {
	if err := s.parse(meta); err != nil {
		return err
	}
	lock := s.chart.Lock
	if lock != nil {
		if err := s.checkLock(meta.Dependencies, lock.Dependencies); err != nil {
			return err
		}
	}
	added := false
	for i, d := range meta.Dependencies {
		want := Dependency{Name: d.Name, Version: d.Version, Repository: d.Repository}
		if lock != nil {
			want.Version = lock.Dependencies[i].Version
		}
		held, err := s.holds(i, want)
		if err != nil {
			return err
		}
		if held {
			continue
		}
		added = true
		dir, isLocal := s.local(d.Repository)
		switch {
		case isLocal && (dir == s.dir || slices.Contains(within, dir)):
			return s.atDependency(i, "the dependency %q goes in a circle: the chart in %s needs this one", d.Name, dir)
		case isLocal:
			err = s.addLocal(ctx, fsys, i, want, dir, fetcher, within)
		case d.Repository == "" || fetcher == nil:
			err = s.atDependency(i, "the dependency %q is not in %s", d.Name, s.shown("charts")).
				advise("commit it there, or give its repository in %s", s.shown(chartFile))
		default:
			err = s.add(ctx, i, want, fetcher)
			if _, exact := exactVersion(want.Version); err == nil && !exact {
				s.floating = append(s.floating, fmt.Sprintf("%s %s of %s", d.Name, d.Version, d.Repository))
			}
		}
		if err != nil {
			return err
		}
	}
	if !added {
		return nil
	}
	return s.parse(meta)
}

// holds tells whether charts/ has a dependency. A chart of the name in another
// version is an error: Helm would silently leave the dependency out.
func (s *Source) holds(i int, want Dependency) (bool, error) {
	constraint, err := newConstraint(want.Version)
	if err != nil {
		return false, s.atDependency(i, "the version %q of the dependency %q is no version and no range of versions", want.Version, want.Name)
	}
	other := ""
	for _, c := range s.chart.Dependencies() {
		if c.Name() != want.Name {
			continue
		}
		if v, err := semver.NewVersion(c.Metadata.Version); err == nil && constraint.Check(v) {
			return true, nil
		}
		other = c.Metadata.Version
	}
	if other == "" || slices.ContainsFunc(s.chart.Metadata.Dependencies[:i], func(d *helm.Dependency) bool { return d.Name == want.Name }) {
		return false, nil
	}
	return false, s.atDependency(i, "%s has version %s of the dependency %q, and %s is wanted", s.shown("charts"), other, want.Name, want.Version).
		advise("run `helm dependency build %s` and commit what it makes, or remove the chart from %s: it is then fetched", s.dir, s.shown("charts"))
}

// add fetches a dependency. Its archive becomes a file of the chart as it is.
func (s *Source) add(ctx context.Context, i int, want Dependency, fetcher Fetcher) error {
	switch scheme, _, _ := strings.Cut(want.Repository, "://"); {
	case scheme == "oci" || scheme == "https" || scheme == "http":
	case strings.HasPrefix(want.Repository, "@") || strings.HasPrefix(want.Repository, "alias:"):
		return s.atDependency(i, "the repository %s of the dependency %q has a meaning only where `helm repo add` gave it one", want.Repository, want.Name).
			advise("write its URL")
	default:
		return s.atDependency(i, "the repository %q of the dependency %q is of no known kind", want.Repository, want.Name).
			advise("write oci://, https://, http:// or file://")
	}
	if u, err := url.Parse(want.Repository); err != nil || u.User != nil {
		e := s.atDependency(i, "the repository of the dependency %q is no URL without a user and a password", want.Name)
		e.Source = "" // it may hold the password
		return e.advise("leave them out, and log in to its host: they are taken from the Docker configuration")
	}
	archive, version, err := fetcher.Fetch(ctx, want)
	if e, ok := err.(*Error); ok {
		at := s.atDependency(i, "%s", e.Message)
		at.Advice = e.Advice
		return at
	}
	if err != nil {
		return fmt.Errorf("%s: getting the dependency %q: %w", s.shown(s.dependencyFile()), want.Name, err)
	}
	s.files["charts/"+want.Name+"-"+version+".tgz"] = archive
	return nil
}

// addLocal adds a dependency that is a directory of the project, with those that
// it depends on itself.
func (s *Source) addLocal(ctx context.Context, fsys fs.FS, i int, want Dependency, dir string, fetcher Fetcher, within []string) error {
	if !fs.ValidPath(dir) {
		return s.atDependency(i, "the dependency %q is outside of the project: %s", want.Name, want.Repository).advise("file:// is followed by a path relative to %s", s.dir)
	}
	files, err := readFiles(fsys, dir)
	if err != nil {
		if e, ok := err.(*Error); ok {
			return s.atDependency(i, "the dependency %q: %s: %s", want.Name, e.File, e.Message)
		}
		return err
	}
	sub := &Source{dir: dir, files: files}
	meta, err := sub.metadata()
	if err != nil {
		return err
	}
	if meta.Name != want.Name {
		return s.atDependency(i, "the chart in %s is named %q, not %q", dir, meta.Name, want.Name)
	}
	constraint, err := newConstraint(want.Version)
	if v, versionErr := semver.NewVersion(meta.Version); err != nil || versionErr != nil || !constraint.Check(v) {
		return s.atDependency(i, "the chart in %s has version %q, and %s is wanted", dir, meta.Version, want.Version)
	}
	if err := sub.resolve(ctx, fsys, meta, fetcher, append(slices.Clone(within), s.dir)); err != nil {
		return err
	}
	s.floating = append(s.floating, sub.floating...)
	for name, data := range sub.files {
		s.files[path.Join("charts", want.Name+"-"+meta.Version, name)] = data
	}
	return nil
}

// checkLock refuses a Chart.lock that is not of this Chart.yaml.
func (s *Source) checkLock(wanted, locked []*helm.Dependency) error {
	stale := func(e *Error) error {
		return e.advise("run `helm dependency update %s` and commit %s", s.dir, s.shown(lockFile))
	}
	for i, d := range wanted {
		if i >= len(locked) || locked[i] == nil || locked[i].Name != d.Name || locked[i].Repository != d.Repository {
			return stale(s.atDependency(i, "%s is not of this list of dependencies: it lacks %q of %q here", lockFile, d.Name, d.Repository))
		}
		constraint, err := newConstraint(d.Version)
		if err != nil || locked[i].Version == d.Version {
			continue // holds tells
		}
		if v, err := semver.NewVersion(locked[i].Version); err != nil || !constraint.Check(v) {
			return stale(s.atDependency(i, "%s has version %s of %q, and %s is wanted", lockFile, locked[i].Version, d.Name, d.Version))
		}
	}
	if len(locked) > len(wanted) {
		return stale(s.wrong(lockFile, fmt.Errorf("it has more dependencies than %s", s.dependencyFile())))
	}
	return nil
}

// newConstraint reads a constraint; none takes every version.
func newConstraint(text string) (*semver.Constraints, error) {
	if text == "" {
		text = "*"
	}
	return semver.NewConstraint(text)
}

// exactVersion tells a version from a range of versions.
func exactVersion(text string) (*semver.Version, bool) {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	return v, err == nil
}

// dependencyFile is the file that has the dependencies.
func (s *Source) dependencyFile() string {
	var c struct {
		Dependencies []any `json:"dependencies"`
	}
	if err := yaml.Unmarshal(s.files[chartFile], &c); err == nil && len(c.Dependencies) == 0 && s.files[requirementsFile] != nil {
		return requirementsFile
	}
	return chartFile
}

// atDependency is a mistake in the dependency with this index.
func (s *Source) atDependency(i int, format string, args ...any) *Error {
	name := s.dependencyFile()
	e := &Error{File: s.shown(name), Message: fmt.Sprintf(format, args...)}
	var list struct {
		Dependencies []yamlv3.Node `yaml:"dependencies"`
	}
	if err := yamlv3.Unmarshal(s.files[name], &list); err != nil || i >= len(list.Dependencies) {
		return e
	}
	return e.onLine(s.files[name], list.Dependencies[i].Line)
}
