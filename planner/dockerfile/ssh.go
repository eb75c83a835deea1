package dockerfile

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/gitutil"
)

// The conversion asks the host of each ADD of a repository over ssh for its key.
// Planning must not: it converts a Dockerfile in which such a URL is replaced by
// another that says the same and that nobody is asked about. A host of the
// top-level domain "invalid" does not exist (RFC 2606).
const hiddenSSH = "git://ssh.invalid/"

// hideSSH is the stand-in of a source of an ADD; "" if it is not a repository
// over ssh.
func hideSSH(source string) string {
	remote, err := gitutil.ParseURL(source)
	if err != nil || remote.Scheme != gitutil.SSHProtocol {
		return ""
	}
	rest := ""
	if i := strings.IndexAny(source, "?#"); i >= 0 {
		rest = source[i:]
	}
	return hiddenSSH + url.PathEscape(remote.Remote) + rest
}

// shownSSH is the URL that a stand-in stands for, and any other as it is.
func shownSSH(u string) string {
	if hidden, ok := strings.CutPrefix(u, hiddenSSH); ok {
		if real, err := url.PathUnescape(hidden); err == nil {
			return real
		}
	}
	return u
}

// sshAgent is the id of the ssh agent that BuildKit asks the client for.
func sshAgent(srcs []*pb.SourceOp) string {
	for _, src := range srcs {
		if id := src.Attrs[pb.AttrMountSSHSock]; id != "" {
			return id
		}
	}
	return ""
}

// substitution replaces a word of an instruction.
type substitution struct {
	first, last int // lines of the instruction
	word, by    string
}

// hiddenWords are the replacements for the sources of an ADD whose values are
// known.
func (w *walker) hiddenWords(c *instructions.AddCommand, vars variables) []substitution {
	var out []substitution
	for _, word := range c.SourcePaths {
		source, ok := w.value(word, vars)
		by := hideSSH(source)
		// What would be expanded again, or end the word, cannot stand in a text.
		if !ok || by == "" || strings.ContainsAny(by, "$\\\"' \t\r\n") || len(c.Location()) == 0 {
			continue
		}
		place := c.Location()
		out = append(out, substitution{place[0].Start.Line, place[len(place)-1].End.Line, word, by})
	}
	return out
}

// substitute replaces words in a Dockerfile; its lines stay where they are.
func substitute(text []byte, all []substitution) []byte {
	if len(all) == 0 {
		return text
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for _, s := range all {
		// A trigger's lines are those of the trigger, not of the Dockerfile.
		if s.first < 1 || s.last > len(lines) || !bytes.EqualFold(firstWord(lines[s.first-1]), []byte("ADD")) {
			continue
		}
		for i := s.first - 1; i < s.last; i++ {
			if bytes.Contains(lines[i], []byte(s.word)) {
				lines[i] = bytes.Replace(lines[i], []byte(s.word), []byte(s.by), 1)
				break
			}
		}
	}
	return bytes.Join(lines, nil)
}

func firstWord(line []byte) []byte {
	if fields := bytes.Fields(line); len(fields) > 0 {
		return fields[0]
	}
	return nil
}
