package render

import (
	"errors"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Match tells whether a path, relative to the project, matches a pattern of
// .Files.Glob: `*` and `?` stay within one name, `**` as a whole name is any
// number of directories, `[a-z]` and `[^a-z]` are one character, `{a,b}` is
// either, and `\` takes the next character as it is. A name that begins with a
// dot is like any other.
func Match(pattern, name string) (bool, error) {
	re, _, err := compileGlob(strings.TrimPrefix(path.Clean("/"+pattern), "/"))
	if err != nil {
		return false, err
	}
	return re.MatchString(name), nil
}

const globMeta = `*?[]{}\`

// escapeGlob is the pattern that matches the path itself.
func escapeGlob(name string) string {
	var b strings.Builder
	for _, r := range name {
		if strings.ContainsRune(globMeta, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// compileGlob is the pattern as a regular expression, and the directory under
// which all its matches are.
func compileGlob(pattern string) (*regexp.Regexp, string, error) {
	base := pattern
	if i := strings.IndexAny(pattern, globMeta); i >= 0 {
		base = path.Dir(pattern[:i] + "x")
	} else if base == "" {
		base = "."
	}
	var b strings.Builder
	b.WriteString(`\A(?s:`)
	depth := 0
	for i := 0; i < len(pattern); {
		rest := pattern[i:]
		r, n := utf8.DecodeRuneInString(rest)
		atStart := i == 0 || pattern[i-1] == '/'
		switch {
		case atStart && strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:[^/]+/)*`)
			n = len("**/")
		case atStart && rest == "**":
			b.WriteString(`.+`)
			n = len("**")
		case r == '*':
			b.WriteString(`[^/]*`)
		case r == '?':
			b.WriteString(`[^/]`)
		case r == '[':
			class, length, err := globClass(rest)
			if err != nil {
				return nil, "", err
			}
			b.WriteString(class)
			n = length
		case r == '{':
			b.WriteString(`(?:`)
			depth++
		case r == '}' && depth > 0:
			b.WriteString(`)`)
			depth--
		case r == ',' && depth > 0:
			b.WriteString(`|`)
		case r == '\\':
			if len(rest) == 1 {
				return nil, "", errors.New("nothing follows the last backslash")
			}
			r, length := utf8.DecodeRuneInString(rest[1:])
			b.WriteString(regexp.QuoteMeta(string(r)))
			n = 1 + length
		default:
			b.WriteString(regexp.QuoteMeta(rest[:n]))
		}
		i += n
	}
	if depth > 0 {
		return nil, "", errors.New("a { is not closed")
	}
	b.WriteString(`)\z`)
	re, err := regexp.Compile(b.String())
	return re, base, err
}

// globClass translates a `[...]` at the start of a pattern.
func globClass(pattern string) (class string, length int, err error) {
	end := strings.IndexByte(pattern[1:], ']') + 1
	if end <= 1 {
		return "", 0, errors.New("a [ is not closed, or empty")
	}
	body, not := pattern[1:end], ""
	if body[0] == '^' || body[0] == '!' {
		body, not = body[1:], "^/"
	}
	// What stands for itself in a glob's class may mean something in an
	// expression's; a range means the same in both.
	body = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`, `&`, `\&`, `~`, `\~`).Replace(body)
	if body == "" {
		return "", 0, errors.New("a [ is empty")
	}
	return "[" + not + body + "]", end + 1, nil
}
