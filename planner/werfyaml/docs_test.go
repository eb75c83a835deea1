package werfyaml

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const docs = "../../docs/werf-yaml.md"

// The documentation has every key that the code has, and each of its links is
// to a test that there is.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, quoted := range regexp.MustCompile("`[A-Za-z.\\[\\]]+`").FindAllString(string(text), -1) {
		for word := range strings.SplitSeq(strings.Trim(quoted, "`"), ".") {
			documented[strings.TrimSuffix(word, "[]")] = true
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, source := range sources {
		code, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\{name: "([A-Za-z]+)"`).FindAllSubmatch(code, -1) {
			keys++
			if !documented[string(m[1])] {
				t.Errorf("%s: the key %s is not in %s", source, m[1], docs)
			}
		}
	}
	links := regexp.MustCompile(`\[(Test\w+)(?:/[^\]]*)?\]\(([^)]+)\)`).FindAllSubmatch(text, -1)
	for _, m := range links {
		code, err := os.ReadFile(filepath.Join(filepath.Dir(docs), string(m[2])))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(code), "func "+string(m[1])+"(") && !strings.HasSuffix(string(m[2]), ".golden") {
			t.Errorf("%s has no %s", m[2], m[1])
		}
	}
	if keys < 80 || len(links) < 40 {
		t.Errorf("found %d keys and %d links: this test looks for the wrong thing", keys, len(links))
	}
}
