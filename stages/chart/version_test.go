package chart

import (
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func TestVersionForTag(t *testing.T) {
	for _, test := range []struct{ tag, want string }{
		{"1.2.3", "1.2.3"},
		{"v1.2.3", "1.2.3"},
		{"1.2.3-rc.1", "1.2.3-rc.1"},
		{"1.2.3_build", "1.2.3+build"},
		{"v1.2.3-rc.1_build.5", "1.2.3-rc.1+build.5"},
		{"latest", "0.0.0-latest"},
		{"main-1a2b3c4d", "0.0.0-main-1a2b3c4d"},
		{"1.2", "0.0.0-1.2"},
		{"v1", "0.0.0-v1"},
		{"vv1.2.3", "0.0.0-vv1.2.3"},
		{"7", "0.0.0-7"},
		{"0", "0.0.0-0"},
		{"", "0.0.0"},
		{"feature_x", "0.0.0-feature-x.h5484b40c"},
		{"2026.01.05", "0.0.0-2026.1.5.h"},
		{"00", "0.0.0-0.h"},
		{"01.2.3", "0.0.0-1.2.3.h"},
		{"1.2.3_a_b", "0.0.0-1.2.3-a-b.h"},
		{"a..b.", "0.0.0-a.b.h"},
		{"...", "0.0.0-h"},
		{"_", "0.0.0--.h"},
		{"h12345678", "0.0.0-h12345678.h"}, // looks like the altered form of another
		{"x.h12345678", "0.0.0-x.h12345678.h"},
		{"é", "0.0.0--.h"},
	} {
		if got := VersionForTag(test.tag); got != test.want && !(strings.HasSuffix(test.want, "h") && len(got) == len(test.want)+8 && strings.HasPrefix(got, test.want)) {
			t.Errorf("VersionForTag(%q) = %q, want %q", test.tag, got, test.want)
		}
	}
}

// TestVersionsAreDistinct tries all short strings of the characters that
// matter: no two tags that are not versions may share one.
func TestVersionsAreDistinct(t *testing.T) {
	const alphabet = "01a_.-vA"
	seen := map[string]string{}
	var try func(tag string, depth int)
	try = func(tag string, depth int) {
		version := VersionForTag(tag)
		if isVersion(tag) {
			version = "its own: " + tag
		}
		if other, ok := seen[version]; ok {
			t.Fatalf("%q and %q are both %s", tag, other, version)
		}
		seen[version] = tag
		if depth == 0 {
			return
		}
		for _, c := range alphabet {
			try(tag+string(c), depth-1)
		}
	}
	try("", 5)
}

func FuzzVersionForTag(f *testing.F) {
	for _, tag := range []string{"", "latest", "v1.2.3", "1.2.3_x", "00.01", "a..b", "h12345678", "\xff", strings.Repeat("x", 300)} {
		f.Add(tag, tag+"_")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		va, vb := VersionForTag(a), VersionForTag(b)
		if _, err := semver.StrictNewVersion(va); err != nil {
			t.Fatalf("VersionForTag(%q) = %q: %v", a, va, err)
		}
		if a != b && va == vb && strings.HasPrefix(va, "0.0.0-") && !isVersion(a) && !isVersion(b) {
			t.Fatalf("%q and %q are both %s", a, b, va)
		}
	})
}

func isVersion(tag string) bool {
	_, err := semver.StrictNewVersion(strings.ReplaceAll(strings.TrimPrefix(tag, "v"), "_", "+"))
	return err == nil
}
