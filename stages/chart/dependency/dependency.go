// Package dependency gets the charts that a chart depends on from where Chart.yaml
// says: registries (oci://) and Helm's classic repositories (http://, https://),
// whose format is an index.yaml beside archives
// (https://helm.sh/docs/topics/chart_repository). What was fetched is kept by its
// digest, so that it is fetched once.
//
// It must never know the chart that wants them, nor what becomes of them.
package dependency

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"slipway/oci"
	"slipway/stages/chart"

	"github.com/Masterminds/semver/v3"
	digest "github.com/opencontainers/go-digest"
	"sigs.k8s.io/yaml"
)

// Fetcher is a chart.Fetcher. It may be used concurrently.
type Fetcher struct {
	Session *oci.Session
	// Dir is where archives are kept; it is made when it is needed.
	Dir string

	mu      sync.Mutex
	indexes map[string]index // by repository
}

// index is what is used of a repository's index.yaml.
type index struct {
	Entries map[string][]entry `json:"entries"`
}

type entry struct {
	Version string   `json:"version"`
	URLs    []string `json:"urls"`
	Digest  string   `json:"digest"` // of the archive, sha256 in hexadecimal; may be empty
}

// Fetch implements chart.Fetcher. An exact version that is kept costs no request.
func (f *Fetcher) Fetch(ctx context.Context, d chart.Dependency) ([]byte, string, error) {
	version := d.Version
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err != nil {
		if version, err = f.newest(ctx, d); err != nil {
			return nil, "", err
		}
	}
	if data, ok := f.kept(d, version); ok {
		return data, version, nil
	}
	fetch := f.fromRepository
	if isRegistry(d) {
		fetch = f.fromRegistry
	}
	data, err := fetch(ctx, d, version)
	if err != nil {
		return nil, "", err
	}
	if err := check(data, d, version); err != nil {
		return nil, "", err
	}
	return data, version, f.keep(d, version, data)
}

// newest is the newest version that a constraint takes.
func (f *Fetcher) newest(ctx context.Context, d chart.Dependency) (string, error) {
	text := d.Version
	if text == "" {
		text = "*"
	}
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return "", &chart.Error{Message: fmt.Sprintf("the version %q of the dependency %q is no version and no range of versions", d.Version, d.Name)}
	}
	exist, err := f.versions(ctx, d)
	if err != nil {
		return "", err
	}
	var best *semver.Version
	for _, text := range exist {
		v, err := semver.NewVersion(text)
		if err == nil && constraint.Check(v) && (best == nil || v.GreaterThan(best)) {
			best = v
		}
	}
	if best == nil {
		return "", &chart.Error{Message: fmt.Sprintf("%s has no version of %q that %s takes", d.Repository, d.Name, text)}
	}
	return best.Original(), nil
}

func (f *Fetcher) versions(ctx context.Context, d chart.Dependency) ([]string, error) {
	if isRegistry(d) {
		ref, err := reference(d, "")
		if err != nil {
			return nil, err
		}
		tags, err := f.Session.Tags(ctx, ref)
		if oci.IsNotFound(err) {
			return nil, notFound(d, err)
		}
		for i, tag := range tags {
			tags[i] = strings.ReplaceAll(tag, "_", "+") // no tag has a +
		}
		return tags, err
	}
	entries, err := f.entries(ctx, d)
	var versions []string
	for _, e := range entries {
		versions = append(versions, e.Version)
	}
	return versions, err
}

func isRegistry(d chart.Dependency) bool { return strings.HasPrefix(d.Repository, "oci://") }

// reference is where a registry has a chart: the name is the last component of
// its repository, the version is the tag.
func reference(d chart.Dependency, version string) (oci.Reference, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(d.Repository, "oci://"), "/") + "/" + d.Name
	ref, err := oci.ParseReference(name)
	if err != nil || ref.IsLayout() || ref.Tag != "" || ref.Digest != "" {
		return ref, &chart.Error{Message: fmt.Sprintf("the repository %s of the dependency %q is no name of a repository", d.Repository, d.Name),
			Advice: "write oci://HOST/PATH; the chart's name is added to it"}
	}
	return ref.WithTag(strings.ReplaceAll(version, "+", "_")), nil
}

func (f *Fetcher) fromRegistry(ctx context.Context, d chart.Dependency, version string) ([]byte, error) {
	ref, err := reference(d, version)
	if err != nil {
		return nil, err
	}
	data, err := f.Session.Chart(ctx, ref)
	if oci.IsNotFound(err) {
		return nil, notFound(d, err)
	}
	return data, err
}

func notFound(d chart.Dependency, err error) error {
	return &chart.Error{Message: fmt.Sprintf("the dependency %q in version %s is not there: %v", d.Name, d.Version, err)}
}

func (f *Fetcher) fromRepository(ctx context.Context, d chart.Dependency, version string) ([]byte, error) {
	entries, err := f.entries(ctx, d)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e entry) bool {
		return strings.TrimPrefix(e.Version, "v") == strings.TrimPrefix(version, "v") && len(e.URLs) > 0
	})
	if i < 0 {
		return nil, &chart.Error{Message: fmt.Sprintf("%s has no version %s of %q", d.Repository, version, d.Name)}
	}
	at, err := resolve(d.Repository, entries[i].URLs[0])
	if err != nil {
		return nil, fmt.Errorf("the index of %s: %w", d.Repository, err)
	}
	data, err := f.Session.Download(ctx, at)
	if err != nil {
		return nil, err
	}
	want := strings.TrimPrefix(entries[i].Digest, "sha256:")
	if got := digest.FromBytes(data).Encoded(); want != "" && got != want {
		return nil, fmt.Errorf("what %s has is not what its index says: the digest is %s, not %s", d.Repository, got, want)
	}
	return data, nil
}

// entries are the versions of a chart in a repository. Its index is read once.
func (f *Fetcher) entries(ctx context.Context, d chart.Dependency) ([]entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, ok := f.indexes[d.Repository]
	if !ok {
		at, err := resolve(d.Repository, "index.yaml")
		if err != nil {
			return nil, &chart.Error{Message: fmt.Sprintf("the repository %q of the dependency %q is no URL", d.Repository, d.Name)}
		}
		data, err := f.Session.Download(ctx, at)
		if oci.IsNotFound(err) {
			return nil, &chart.Error{Message: fmt.Sprintf("%s is no repository of charts: %v", d.Repository, err)}
		}
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, &all); err != nil {
			return nil, fmt.Errorf("the index of %s: %w", d.Repository, err)
		}
		if f.indexes == nil {
			f.indexes = map[string]index{}
		}
		f.indexes[d.Repository] = all
	}
	entries := all.Entries[d.Name]
	if len(entries) == 0 {
		return nil, &chart.Error{Message: fmt.Sprintf("%s has no chart %q", d.Repository, d.Name)}
	}
	return entries, nil
}

// resolve is a URL of an index, which may be relative to the repository's.
func resolve(repository, ref string) (string, error) {
	base, err := url.Parse(strings.TrimSuffix(repository, "/") + "/")
	if err != nil {
		return "", err
	}
	at, err := base.Parse(ref)
	if err != nil {
		return "", err
	}
	if at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return "", fmt.Errorf("%q is no URL of HTTP", ref)
	}
	if at.RawQuery == "" && at.Host == base.Host {
		at.RawQuery = base.RawQuery
	}
	return at.String(), nil
}
