package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// valuesVersion is .Values.werf.version. Charts compare it with the version of
// werf that they need; it is a constant, that of the generation of werf whose
// service values these are, so that a new release of this program does not
// change the digest of a bundle in which nothing else changed.
const valuesVersion = "2.0.0"

// Image is an image that the chart can name.
type Image struct {
	Name   string // in werf.yaml; may hold "/" and "-"; empty for the nameless image
	Repo   string // registry and repository, "example.org/group/app"
	Tag    string
	Digest string // of the manifest, "sha256:…"
}

// Commit is what .Values.werf.commit tells.
type Commit struct {
	Hash string
	Date time.Time // of the commit; printed in UTC, so that it is the same everywhere
}

// StubImage stands for an image that is not looked for, as in the reference; its
// digest is none.
func StubImage(name, repo string) Image {
	return Image{Name: name, Repo: repo, Tag: "TAG", Digest: "sha256:" + strings.Repeat("0", 64)}
}

// ref is REPO:TAG.
func (i Image) ref() string { return i.Repo + ":" + i.Tag }

// Fields are the parts of an image's reference that charts can want, for
// charts and sub-charts that take them apart (registry, name and tag in values
// of their own). For example.org/group/app:KEY with the digest D:
//
//	registry        example.org
//	namespace       group                      empty when there is none
//	name            app
//	repository      group/app
//	image           example.org/group/app
//	tag             KEY
//	digest          D
//	tag_digest      KEY@D
//	ref             example.org/group/app:KEY@D
//	ref_tag         example.org/group/app:KEY
//	repository_ref  group/app:KEY@D
//	repository_tag  group/app:KEY
//	name_ref        app:KEY@D
//	name_tag        app:KEY
func (i Image) Fields() map[string]any {
	registry, repository, ok := strings.Cut(i.Repo, "/")
	if !ok {
		registry, repository = "", i.Repo
	}
	namespace, name := path.Split(repository)
	tagDigest := i.Tag + "@" + i.Digest
	return map[string]any{
		"registry":       registry,
		"namespace":      strings.TrimSuffix(namespace, "/"),
		"name":           name,
		"repository":     repository,
		"image":          i.Repo,
		"tag":            i.Tag,
		"digest":         i.Digest,
		"tag_digest":     tagDigest,
		"ref":            i.Repo + ":" + tagDigest,
		"ref_tag":        i.ref(),
		"repository_ref": repository + ":" + tagDigest,
		"repository_tag": repository + ":" + i.Tag,
		"name_ref":       name + ":" + tagDigest,
		"name_tag":       name + ":" + i.Tag,
	}
}

// serviceValues are the values that a bundle adds to its chart: .Values.werf
// for the chart itself and .Values.global for it and all its sub-charts.
func serviceValues(o Options, withCommit bool) (map[string]any, error) {
	common := map[string]any{"name": o.Project, "version": valuesVersion, "repo": o.Repo}
	global := map[string]any{}
	if o.Env != "" {
		common["env"] = o.Env
		global["env"] = o.Env
	}
	if withCommit {
		common["commit"] = map[string]any{
			"hash": o.Commit.Hash,
			"date": map[string]any{
				"human": o.Commit.Date.UTC().String(),
				// A string: Helm reads numbers as floats and would print 1.7e+09.
				"unix": strconv.FormatInt(o.Commit.Date.Unix(), 10),
			},
		}
	}
	image, tag, images := map[string]any{}, map[string]any{}, map[string]any{}
	werf, globalWerf := maps.Clone(common), maps.Clone(common)
	if o.Stub {
		werf["is_stub"], werf["stub_image"] = true, StubImage("", o.Repo).ref()
	}
	seen := map[string]bool{}
	for _, i := range o.Images {
		switch {
		case seen[i.Name]:
			return nil, fmt.Errorf("two images are named %q", i.Name)
		case i.Repo == "" || i.Tag == "" || i.Digest == "":
			return nil, fmt.Errorf("the image %q lacks its repository, tag or digest", i.Name)
		}
		seen[i.Name] = true
		if i.Name == "" {
			for _, m := range []map[string]any{werf, globalWerf} {
				m["is_nameless_image"], m["nameless_image"] = true, i.ref()
			}
			continue
		}
		image[i.Name] = i.ref()
		tag[i.Name] = i.Tag
		images[i.Name] = i.Fields()
	}
	werf["image"], werf["tag"], globalWerf["images"] = image, tag, images
	global["werf"] = globalWerf
	return map[string]any{"werf": werf, "global": global}, nil
}

// values parses values.yaml anew; a chart without one has none.
func (s *Source) values() (map[string]any, error) {
	return parseValues(s.shown(valuesFile), s.files[valuesFile])
}

// parseValues reads a file of values; an empty one has none.
func parseValues(name string, data []byte) (map[string]any, error) {
	var doc any
	// json.Number keeps integers as they are written, however large.
	number := func(d *json.Decoder) *json.Decoder { d.UseNumber(); return d }
	if err := yaml.Unmarshal(data, &doc, number); err != nil {
		return nil, wrongIn(name, data, err)
	}
	switch doc := doc.(type) {
	case map[string]any:
		return doc, nil
	case nil:
		return map[string]any{}, nil
	}
	return nil, wrongIn(name, data, fmt.Errorf("must be a map of values, is %s", kind(doc)))
}

// merge puts over on top of base and changes base: maps are merged at every
// depth, anything else of over replaces what base has. A value of the user's
// that stands where the service values need a map is an error, for it would be
// lost.
func merge(base, over map[string]any, at string) error {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		sub, ok := over[key].(map[string]any)
		if !ok || base[key] == nil {
			base[key] = over[key]
			continue
		}
		old, ok := base[key].(map[string]any)
		if !ok {
			return fmt.Errorf("%s%s must be a map, is %s: service values are put there", at, key, kind(base[key]))
		}
		if err := merge(old, sub, at+key+"."); err != nil {
			return err
		}
	}
	return nil
}

// kind names the type of a parsed value for people.
func kind(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "something else"
}
