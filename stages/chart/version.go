package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// VersionForTag derives the version of a chart from the tag that it is
// published under, which is a valid semantic version for any tag:
//
//	1.2.3, v1.2.3   1.2.3
//	1.2.3_build     1.2.3+build               tags have no "+"; Helm writes "_"
//	latest          0.0.0-latest
//	feature_x       0.0.0-feature-x.h5484b40c  altered, so a hash is added
//	(none)          0.0.0
//
// Tags that are not versions never share one.
func VersionForTag(tag string) string {
	version := strings.ReplaceAll(strings.TrimPrefix(tag, "v"), "_", "+")
	if _, err := semver.StrictNewVersion(version); err == nil {
		return version
	}
	if tag == "" {
		return "0.0.0"
	}
	slug := preRelease(tag[:min(len(tag), maxTag)])
	if slug != tag || hashed.MatchString(tag) {
		sum := sha256.Sum256([]byte(tag))
		slug += ".h" + hex.EncodeToString(sum[:4])
	}
	return "0.0.0-" + strings.TrimPrefix(slug, ".")
}

// maxTag is the length of the longest tag that a registry takes; what is longer
// is altered, and so are tags that no registry would take at all.
const maxTag = 128

// hashed is what an altered tag ends with. A tag that ends so by itself gets a
// hash too, or it could be taken for the altered form of another.
var hashed = regexp.MustCompile(`(?:^|\.)h[0-9a-f]{8}$`)

// notIdentifier is what no identifier of a pre-release can hold.
var notIdentifier = regexp.MustCompile(`[^0-9A-Za-z-]`)

// numeric is an identifier that is compared as a number, and so must not begin
// with a zero.
var numeric = regexp.MustCompile(`^[0-9]+$`)

// preRelease makes dot-separated identifiers of a tag: semver.org, item 9. One
// that needs no change is returned as it is; the result may be empty.
func preRelease(tag string) string {
	var ids []string
	for id := range strings.SplitSeq(tag, ".") {
		id = notIdentifier.ReplaceAllString(id, "-")
		if len(id) > 1 && numeric.MatchString(id) {
			if id = strings.TrimLeft(id, "0"); id == "" {
				id = "0"
			}
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, ".")
}
