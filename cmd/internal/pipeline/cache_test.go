package pipeline

import (
	"strings"
	"testing"

	"slipway/oci"
	"slipway/planner"

	"github.com/containerd/platforms"
)

// A cache's tag is valid and no key's whatever image and branch are called, and no
// two caches have one.
func TestCacheTag(t *testing.T) {
	taken := map[string]string{}
	long, key := strings.Repeat("long/", 60), strings.Repeat("0a", 32)
	for _, project := range []string{"app", key} {
		l := &layers{plan: &planner.Plan{Project: project}}
		for _, image := range []string{"", "app", "App", "a/b", "a-b", "a.b", "-", "ünï", long, long + "x", key} {
			for _, branch := range []string{"", "detached", "main", "feature/one", "feature-one", "Feature/One", "#12", "ветка", long, long + "x", key} {
				for _, platform := range []string{"linux/amd64", "linux/arm/v7", "linux/arm64"} {
					tag := l.tag(image, &planner.Build{Platform: platforms.MustParse(platform)}, branch)
					of := strings.Join([]string{project, image, branch, platform}, " ")
					if !oci.IsTag(tag) || keyTag.MatchString(tag) || !strings.HasPrefix(tag, "cache-") {
						t.Errorf("%s: %s", of, tag)
					}
					if other, ok := taken[tag]; ok {
						t.Errorf("%s is the tag of %s and of %s", tag, of, other)
					}
					taken[tag] = of
				}
			}
		}
	}
}

func TestSiblings(t *testing.T) {
	l := &layers{plan: &planner.Plan{Sharing: map[string][]string{"one": {"a"}, "three": {"a", "b", "c"}, "many": {"a", "b", "c", "d", "e", "f", "g"}}}}
	for _, test := range []struct{ dockerfile, image, want string }{
		{"one", "a", ""}, {"three", "a", "b c"}, {"three", "b", "c a"}, {"three", "c", "a b"},
		{"many", "e", "f g a b"}, {"none", "a", ""},
	} {
		if got := strings.Join(l.siblings(&planner.Image{Name: test.image, Dockerfile: test.dockerfile}), " "); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.image, test.dockerfile, got, test.want)
		}
	}
}
