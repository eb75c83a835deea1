package giterminism

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// matcher compiles one entry of a list; its error says what the entry is not.
func matcher(kind valueKind, text string) (func(*Config, string) bool, error) {
	switch kind {
	case patterns:
		if expr, ok := regularExpression(text); ok {
			re, err := compileExpression(expr)
			if err != nil {
				return nil, err
			}
			return func(_ *Config, name string) bool { return re.MatchString(name) }, nil
		}
		fallthrough
	case names:
		return func(_ *Config, name string) bool { return name == text }, nil
	case files:
		return fileMatcher(text)
	case anywhere:
		g, err := compileGlob(text, path.IsAbs(text))
		return func(_ *Config, p string) bool { return g.MatchString(path.Clean(filepath.ToSlash(p))) }, err
	}
	g, err := compileGlob(text, false)
	return func(_ *Config, p string) bool { return g.MatchString(cleanPath(p)) }, err
}

// regularExpression is what stands between slashes.
func regularExpression(text string) (string, bool) {
	if len(text) < 2 || text[0] != '/' || text[len(text)-1] != '/' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// compileExpression anchors the whole expression: the reference only anchors
// the first and the last of its alternatives.
func compileExpression(expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, errors.New("there is nothing between the slashes")
	}
	if _, err := regexp.Compile(expr); err != nil {
		return nil, fmt.Errorf("not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return regexp.Compile("^(?:" + expr + ")$")
}

// fileMatcher compares places: what ~ and relative paths mean is known later.
func fileMatcher(text string) (func(*Config, string) bool, error) {
	base := func(c *Config) string { return c.Dir }
	rest, home := cutHome(text)
	switch {
	case home:
		text, base = rest, func(c *Config) string { return c.Home }
	case strings.HasPrefix(text, "~"):
		return nil, errors.New("only one's own home can be written as ~: write the other in full")
	case path.IsAbs(text):
		base = func(*Config) string { return "/" }
	}
	text, up := path.Clean(text), "."
	for text == ".." || strings.HasPrefix(text, "../") {
		text, up = path.Clean(strings.TrimPrefix(text[2:], "/")), up+"/.."
	}
	g, err := compileGlob(text, false)
	return func(c *Config, src string) bool {
		from := base(c)
		if from == "" {
			return false
		}
		rel, err := filepath.Rel(filepath.Join(from, up), c.Expand(src))
		return err == nil && filepath.IsLocal(rel) && g.MatchString(filepath.ToSlash(rel))
	}, err
}

// compileGlob makes a regular expression, which is linear in the path's length
// whatever the pattern, of a glob with the syntax of doublestar: *, **, ?, [a-z],
// [^a-z], {a,b} and \. As in the reference a pattern also matches all that is
// below what it names, and asterisks at its end mean no more than that: "dir",
// "dir/*" and "dir/**/*" are one. A slash at the beginning is the project's
// directory, unless the pattern is rooted.
func compileGlob(pattern string, rooted bool) (*regexp.Regexp, error) {
	parts := strings.Split(cleanPath(pattern), "/")
	for len(parts) > 0 && strings.Trim(parts[len(parts)-1], "*") == "" {
		parts = parts[:len(parts)-1]
	}
	start := "(?s)^"
	if rooted {
		start += "/"
	}
	if len(parts) == 0 || parts[0] == "." {
		return regexp.MustCompile(start), nil
	}
	expr, err := translate([]rune(strings.Join(parts, "/")))
	if err != nil {
		return nil, fmt.Errorf("not a path pattern: %w", err)
	}
	re, err := regexp.Compile(start + expr + "(?:/.*)?$")
	if err != nil {
		return nil, errors.New("not a path pattern: a range in [ ] goes backwards, or the pattern is too large")
	}
	return re, nil
}

func translate(p []rune) (string, error) {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '*':
			end := i
			for end < len(p) && p[end] == '*' {
				end++
			}
			begins := i == 0 || strings.ContainsRune("/{,", p[i-1])
			if end-i == 2 && begins && end < len(p) && p[end] == '/' {
				b.WriteString("(?:.*/)?") // directories, or none
				end++
			} else {
				b.WriteString("[^/]*")
			}
			i = end - 1
		case c == '?':
			b.WriteString("[^/]")
		case c == '[':
			class, end, err := translateClass(p, i)
			if err != nil {
				return "", err
			}
			b.WriteString(class)
			i = end
		case c == '{':
			depth++
			b.WriteString("(?:")
		case c == '}' && depth > 0:
			depth--
			b.WriteString(")")
		case c == ',' && depth > 0:
			b.WriteString("|")
		case c == '\\':
			if i++; i == len(p) {
				return "", errors.New(`nothing follows the last \`)
			}
			b.WriteString(regexp.QuoteMeta(string(p[i])))
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if depth > 0 {
		return "", errors.New(`a { is not closed; write \{ for the character itself`)
	}
	return "(?:" + b.String() + ")", nil
}

// translateClass translates the [ ] that begins at i and gives its last index.
func translateClass(p []rune, i int) (string, int, error) {
	var b strings.Builder
	b.WriteString("[")
	i++
	if i < len(p) && (p[i] == '^' || p[i] == '!') {
		b.WriteString("^/")
		i++
	}
	for first := true; i < len(p); first = false {
		switch {
		case p[i] == ']' && !first:
			b.WriteString("]")
			return b.String(), i, nil
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(string(p[i])))
		case p[i] == '-':
			b.WriteString("-")
		case strings.ContainsRune(`[]^\&~`, p[i]):
			b.WriteString(`\` + string(p[i]))
		default:
			b.WriteRune(p[i])
		}
		i++
	}
	return "", 0, errors.New(`a [ is not closed; write \[ for the character itself`)
}

var globMeta = regexp.MustCompile(`[*?\[\]{}\\]`)

// QuoteGlob is the pattern that matches the path itself.
func QuoteGlob(p string) string { return globMeta.ReplaceAllString(p, `\$0`) }
