package diag

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Suggest is the candidate that word was most likely meant to be, the first of
// equals, or "" when none is close: one edit in a short word, three in a long
// one. Upper and lower case count as equal.
func Suggest(word string, candidates []string) string {
	// Nobody mistypes that much; the distance of huge words is slow to find.
	if len(word) > 100 {
		return ""
	}
	best, least := "", min(1+len(word)/5, 3)+1
	for _, candidate := range candidates {
		distance := levenshtein.Distance(strings.ToLower(word), strings.ToLower(candidate), nil)
		// A word with every letter replaced is no slip of the pen.
		if distance < least && distance < len(word) {
			best, least = candidate, distance
		}
	}
	return best
}

// DidYouMean is the advice that goes with Suggest: empty when there is no
// suggestion.
func DidYouMean(word string, candidates []string) string {
	if s := Suggest(word, candidates); s != "" {
		return `did you mean "` + s + `"?`
	}
	return ""
}
