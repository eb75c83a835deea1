package wire

import (
	"fmt"
	"slices"
	"testing"

	"helm.sh/helm/v3/pkg/releaseutil"
)

// Documents are taken apart as Helm does it.
func FuzzDocuments(f *testing.F) {
	for _, text := range []string{
		"", "\n", "---", "a", "a\n---\nb", "---\na\n---\n---\n\n--- \nb\n---", "a\n --- b", "a ---\nb", "a\n\n\t\n---b", "--- # c\na", "a\r\n---\r\nb", "\ufeff---\na", "---\u00a0\na\n---\u2028b", "a: |\n  ---\n  b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		documents := releaseutil.SplitManifests(text)
		var want []string
		for i := range len(documents) {
			want = append(want, documents[fmt.Sprintf("manifest-%d", i)])
		}
		if got := Documents(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	})
}
