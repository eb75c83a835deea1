package engine

import (
	"regexp"
	"strings"
)

var (
	userInfo    = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*)://([^\s/?#"'<>]*)@`)
	secretQuery = regexp.MustCompile(`(?i)([?&](?:[^=&\s#"']*(?:token|secret|passw|signature|credential)[^=&\s#"']*|sig)=)[^&\s#"']+`)
)

// Redact takes what grants access out of the URLs of a text: user names and
// passwords, and the values of query parameters that are tokens or signatures by
// their names. The user of an ssh URL stays, since it is no secret and names the
// service. What is left of one URL is the same in every text.
func Redact(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	text = userInfo.ReplaceAllStringFunc(text, func(match string) string {
		m := userInfo.FindStringSubmatch(match)
		if user, _, _ := strings.Cut(m[2], ":"); user != "" && strings.EqualFold(m[1], "ssh") {
			return m[1] + "://" + user + "@"
		}
		return m[1] + "://"
	})
	return secretQuery.ReplaceAllString(text, "${1}xxxxx")
}
