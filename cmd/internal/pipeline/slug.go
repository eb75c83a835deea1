package pipeline

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/oci"
	"slipway/planner"

	"github.com/spaolacci/murmur3"
)

// expandTag fills in the shortcuts of a tag template, which are the reference's:
//
//	%image%                    the image's name
//	%image_slug%               the name as a lower-case slug of at most 42 characters
//	%image_safe_slug%          the name if it is a valid tag, else its slug
//	%image_content_based_tag%  the image's key tag
func expandTag(tag string, image *planner.Image) string {
	return strings.NewReplacer(
		"%image%", image.Name,
		"%image_slug%", slug(image.Name),
		"%image_safe_slug%", tagSlug(image.Name),
		"%image_content_based_tag%", image.Key.String(),
	).Replace(tag)
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// tagSlug leaves a valid tag alone and makes a slug of anything else.
func tagSlug(s string) string {
	if oci.IsTag(s) {
		return s
	}
	return hashedSlug(s, 128)
}

// slug leaves a slug alone and makes one of anything else.
func slug(s string) string {
	if plain := slugify(s); plain == s && len(s) < 42 {
		return s
	}
	return hashedSlug(s, 42)
}

// hashedSlug is the readable part of s, cut so that a dash and the murmur3 hash
// that keeps slugs apart fit in limit bytes.
func hashedSlug(s string, limit int) string {
	hash := fmt.Sprintf("%x", murmur3.Sum32([]byte(s)))
	plain := slugify(s)
	if most := limit - len("-12345678"); len(plain) > most {
		plain = plain[:most]
	}
	if plain == "" {
		return hash
	}
	return plain + "-" + hash
}

func slugify(s string) string {
	return strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s), "-"), "-")
}
